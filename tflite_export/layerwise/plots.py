"""The error of every layer as a figure."""


def plot_layers(report):
    """Plot how far each layer is off, in the order of the model.

    Args:
        report: A `LayersReport`.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ImportError: If matplotlib is not installed.
        TypeError: If `report` is no `LayersReport`.

    Example:
    >>> tflite_export.plot_layers(report).savefig("layers.png")
    """
    from tflite_export.layerwise.layers_report import LayersReport

    if not isinstance(report, LayersReport):
        raise TypeError(
            "`report` must be a LayersReport, as compare_layers returns. "
            f"Received: {report!r} (of type {type(report).__name__})"
        )
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            'plot_layers needs matplotlib: pip install "keras-dprp[plot]"'
        ) from error

    names = [layer.layer for layer in report.layers]
    figure = Figure(figsize=(8, 1.5 + 0.22 * len(names)), layout="constrained")
    axes = figure.subplots()
    first = report.first
    colors = ["tab:red" if layer is first else "tab:blue" for layer in report.layers]
    # No bar would be drawn for an error of 0 on an axis of powers.
    errors = [max(layer.error, 1e-8) for layer in report.layers]
    axes.barh(range(len(names)), errors, color=colors)
    axes.axvline(report.tolerance, color="gray", linestyle="--", label="tolerance")
    axes.set_yticks(range(len(names)), names, fontsize="small")
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("error / standard deviation of the layer's output")
    axes.set_title(f"{report.path} against Keras, layer by layer")
    axes.legend(frameon=False)
    return figure
