"""The page in the browser.

server                              serves it, and refuses every request that does not come from the page itself
app                                 what Streamlit runs for every visit and click; finds the tabs by `tabs`
chat, search, library, add_files    a module for each tab
answering, jobs                     questions being answered and files being indexed, in threads of their own
source_cards, draw                  sources as cards, with the cited region marked
uploads, safe_html, shared          what a browser sent; text of others as HTML; what all sessions share
"""
