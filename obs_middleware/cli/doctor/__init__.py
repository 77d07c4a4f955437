"""`doctor`: asks a running app from outside whether it is observed as it should be."""
