"""Speed and exactness of graphs, solvers and the pipeline on this machine."""
