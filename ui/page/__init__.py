"""The page in the browser.

server, guard                       serve it, and refuse whoever is not the page itself
app                                 what Streamlit runs for every visit and click; finds the tabs by `tabs`
chat, search, library, add_files    a module for each tab
answering, jobs                     questions and indexing on their way, in threads of their own
source_cards, draw                  sources as cards, with the cited region marked
uploads, safe_html, shared          what a browser sent; text of others as HTML; what all sessions share
"""
