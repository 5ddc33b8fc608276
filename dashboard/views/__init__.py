"""One file per page; Streamlit runs each from top to bottom."""
