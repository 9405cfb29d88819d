"""ONNX files as Keras models.

`reading` gives a file's graph as plain data (arrays stay in the file until they are used), `simplifying`
joins nodes that one layer stands for, `folding` computes what depends on constants and shapes alone,
`importing` walks the nodes and calls for each the function that `registry` holds for its operator; these
functions are in one file per family. `values` says how a value lies in memory.
"""
