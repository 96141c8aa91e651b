"""Converts a torch module to an ONNX file whose first dimension is free."""

import logging
import warnings

import torch

OPSET = 18


def graph_of(net, inputs: dict[str, tuple], outputs: list[str]) -> bytes:
    """
    Return a module as the bytes of an ONNX file.

    :param inputs: name → shape of every input, without the leading dimension.
    :param outputs: names of the module's results, in order.
    """
    # with an example of one person the exporter would treat 1 as a constant
    examples = tuple(torch.zeros((3, *shape)) for shape in inputs.values())
    people = torch.export.Dim('people', min=1, max=65536)
    names = list(inputs)
    shapes = tuple({0: people} for _ in names)
    logging.getLogger('torch.onnx').setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter('ignore')
        program = torch.export.export(net, examples, dynamic_shapes=shapes)
        result = torch.onnx.export(program, (), input_names=names, output_names=outputs,
                                   opset_version=OPSET, dynamo=True, verbose=False)
    model = result.model_proto
    del model.graph.value_info[:], model.metadata_props[:]
    for item in (model.graph, *model.graph.node, *model.graph.input, *model.graph.output,
                 *model.graph.initializer):
        item.doc_string = ''  # the exporter's comments name files of this machine
        del item.metadata_props[:]
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = 'people'
    return model.SerializeToString()
