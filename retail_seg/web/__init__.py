"""Pages of the web app, one file a page; what they do is done by the join modules."""
