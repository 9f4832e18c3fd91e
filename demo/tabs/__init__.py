"""The tabs of the page; each builds itself into the Gradio page that is open."""
