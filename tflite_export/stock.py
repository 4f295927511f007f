"""Models made ready for conversion: float32 and stock layers only."""

import tempfile
from pathlib import Path

from tflite_export.graph import all_layers

_OTHER_FLOATS = ("float16", "bfloat16", "float64")


def float32_model(model):
    """The model itself, or where layers compute in another float a float32 copy.

    LiteRT computes in float32 (or in integers), and its converter refuses the half
    precision of mixed policies.
    """
    if any(_computes_otherwise(layer) for layer in all_layers(model)):
        return _float32_copy(model)
    return model


def folded_model(model):
    """The model itself, or where it has factorised layers a copy of stock layers."""
    import keras_dprp
    from keras_dprp.layers import SVDLayer

    if any(isinstance(layer, SVDLayer) for layer in all_layers(model)):
        return keras_dprp.fold(model)
    return model


def _computes_otherwise(layer):
    return {layer.compute_dtype, layer.variable_dtype} & set(_OTHER_FLOATS)


def _float32_copy(model):
    import keras

    config = keras.saving.serialize_keras_object(model)
    config.pop("compile_config", None)
    classes = {type(layer).__name__: type(layer) for layer in all_layers(model)}
    # Safe: the configuration is that of a model in this process.
    copy = keras.saving.deserialize_keras_object(
        _as_float32(config), custom_objects=classes, safe_mode=False
    )
    with tempfile.TemporaryDirectory() as folder:
        # Unlike `set_weights`, files carry the whole state, such as Normalization's.
        path = Path(folder) / "model.weights.h5"
        model.save_weights(path)
        copy.load_weights(path)
    return copy


def _as_float32(config, key=None):
    """A serialized object with every dtype and policy in it float32, however deep."""
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy":
            return "float32"
        return {key: _as_float32(value, key) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return type(config)(_as_float32(value) for value in config)
    return "float32" if key == "dtype" and config in _OTHER_FLOATS else config
