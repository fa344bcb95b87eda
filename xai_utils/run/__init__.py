"""How the study is run: the store, a notebook's part, joining parts, one notebook, the pipeline.

Nothing here knows about explanations.
"""
