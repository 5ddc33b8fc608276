"""A file a page; each is run by streamlit from top to bottom."""
