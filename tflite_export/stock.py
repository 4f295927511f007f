"""Models made ready for conversion: float32, plain and stock layers where possible.

Quietly: Keras warns anew of what it warned of as the model was made.
"""

from tflite_export.quiet import quiet


def stock_model(model):
    """The model itself, or a copy of it in float32 and of stock layers."""
    return folded_model(float32_model(model))


@quiet()
def float32_model(model):
    """The model itself, or where layers compute in another float a float32 copy.

    LiteRT computes in float32 (or in integers), and its converter refuses the half
    precision of mixed policies.
    """
    from keras_dprp.graph import flatten_layers
    from tflite_export.copying import computes_otherwise, copy_float32

    if any(computes_otherwise(layer) for layer in flatten_layers(model)):
        return copy_float32(model)
    return model


@quiet()
def folded_model(model):
    """The model itself, or where it has layers of this project a copy of stock layers.

    Those are factorised layers, and the one that a teacher comes with. A model with
    one inside another layer, as in TimeDistributed, stays as it is: no layer can be
    replaced there, and LiteRT runs the factors as well.
    """
    import keras_dprp
    from keras_dprp.graph import flatten_layers, graph_layers
    from keras_dprp.layers import SVDLayer
    from keras_dprp.layers.distillation import Distillation

    kinds = (SVDLayer, Distillation)
    own = {layer for layer in flatten_layers(model) if isinstance(layer, kinds)}
    if own and own <= set(graph_layers(model)):
        return keras_dprp.fold(plain_model(model))
    return model


@quiet()
def plain_model(model):
    """The graph of a model as a `keras.Model`, without what it is trained with.

    Another process knows neither a class of the user's own nor the loss. The layers
    are the model's own, unless it has nested models that would have to change.
    """
    import keras

    from keras_dprp.graph import flatten_layers, inputs_of, is_graph, outputs_of
    from tflite_export.copying import copy_float32

    if not is_graph(model):
        return model
    if not all(_is_plain(each) for each in flatten_layers(model) if is_graph(each)):
        return copy_float32(model)
    return keras.Model(inputs_of(model), outputs_of(model), name=model.name)


def _is_plain(model):
    return type(model).__module__.startswith("keras.") and not model.compiled
