"""utilityfog: a fractal tree of coordinating nodes, on Starlette."""
