"""The page in the browser: app (what Streamlit runs), a module for each tab, and what they share."""
