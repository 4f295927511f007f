"""Where an int8 file rounds, told from the steps of a model."""

from tflite_export.tfmot.steps import INPUT

WEIGHTED = ("Conv2D", "DepthwiseConv2D", "Dense")
# LiteRT's kernels give what they take: same scale, or (Dropout) nothing at all.
SAME_SCALE = (
    "AveragePooling2D",
    "Dropout",
    "Flatten",
    "GlobalMaxPooling2D",
    "MaxPooling2D",
    "Permute",
    "Reshape",
    "SpatialDropout2D",
    "ZeroPadding2D",
)
# LiteRT's kernels have one scale for all models: outputs are in [0, 1] or [-1, 1].
FIXED_SCALE = ("softmax", "sigmoid", "tanh")


def is_affine(steps, position):
    """Whether a step only scales and shifts channels, and can be a convolution.

    A BatchNormalization that follows a convolution goes into its kernel instead.
    """
    step = steps[position]
    if len(step.shape) not in (1, 3) or step.shape[-1] is None:
        return False
    if step.kind == "BatchNormalization":
        last = step.arguments["axis"] in (-1, len(step.shape), [len(step.shape)], [-1])
        return last and not _follows(steps, position, ("Conv2D", "DepthwiseConv2D"))
    if step.kind == "Rescaling":
        sizes = {_size(step.arguments[key]) for key in ("scale", "offset")}
        return sizes <= {1, step.shape[-1]}
    return False


def rounds_output(steps, position):
    """Whether the file rounds a step's output to a scale of its own."""
    step = steps[position]
    if step.kind in SAME_SCALE or _function(step) in FIXED_SCALE:
        return False
    if step.kind in ("BatchNormalization", "Rescaling") and not (
        is_affine(steps, position)
        or _follows(steps, position, ("Conv2D", "DepthwiseConv2D"))
    ):
        return False
    readers = _readers(steps, position)
    if len(readers) != 1:
        return True
    (reader,) = readers
    # All that is concatenated gets the scale of the whole.
    if steps[reader].kind == "Concatenate":
        return False
    return not _is_fused(steps, position, reader)


def _is_fused(steps, position, reader):
    """Whether one step and the next are one operation in the file."""
    step, following = steps[position], steps[reader]
    if following.kind == "BatchNormalization":
        return not is_affine(steps, reader) and step.kind in WEIGHTED
    clips = following.kind == "ReLU" and _is_clip(following.arguments)
    normalises = step.kind == "BatchNormalization" or is_affine(steps, position)
    return clips and (normalises or step.kind in (*WEIGHTED, "Add", "Multiply"))


def _is_clip(arguments):
    return (
        arguments.get("max_value") in (None, 6.0)
        and not arguments.get("negative_slope")
        and not arguments.get("threshold")
    )


def _follows(steps, position, kinds):
    """Whether a step takes the output of one of some kinds, and nothing else does."""
    (source,) = steps[position].inputs
    return (
        source != INPUT
        and steps[source].kind in kinds
        and _readers(steps, source) == [position]
    )


def _readers(steps, position):
    return [reader for reader, step in enumerate(steps) if position in step.inputs]


def _function(step):
    if step.kind == "Activation":
        return step.arguments["activation"]
    return step.kind.lower()


def _size(value):
    """How many numbers are in nested lists, or a number."""
    return sum(map(_size, value)) if isinstance(value, list) else 1
