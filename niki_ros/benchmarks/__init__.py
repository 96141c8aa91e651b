"""Speed and accuracy of graphs, solvers and the pipeline on this machine. May import loading."""
