"""Every optimizer that Keras ships, and what may be said to each of them."""

import keras

optimizers = keras.optimizers


def only_matrices_to_sgd():
    sgd, adam = optimizers.SGD(0.01, 0.9), optimizers.Adam(0.01)
    return optimizers.MultiOptimizer(lambda v: sgd if v.ndim > 1 else adam)


OPTIMIZERS = {
    "SGD": lambda: optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "Adam": lambda: optimizers.Adam(0.01, amsgrad=True),
    "AdamW": lambda: optimizers.AdamW(0.01, weight_decay=0.1),
    "RMSprop": lambda: optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "Adagrad": lambda: optimizers.Adagrad(0.05),
    "Adadelta": lambda: optimizers.Adadelta(0.5),
    "Adamax": lambda: optimizers.Adamax(0.01),
    "Nadam": lambda: optimizers.Nadam(0.01),
    "Ftrl": lambda: optimizers.Ftrl(0.05),
    "Lion": lambda: optimizers.Lion(0.003),
    "Lamb": lambda: optimizers.Lamb(0.01),
    "Muon": lambda: optimizers.Muon(0.01),
    "ScheduleFreeAdamW": lambda: optimizers.ScheduleFreeAdamW(0.01),
    "Adafactor": lambda: optimizers.Adafactor(0.05),
    "LossScale": lambda: optimizers.LossScaleOptimizer(optimizers.Adam(0.01)),
    "Multi": only_matrices_to_sgd,
}
VARIANTS = {
    "EMA": lambda: optimizers.SGD(
        0.05, momentum=0.9, use_ema=True, ema_overwrite_frequency=3
    ),
    "accumulation": lambda: optimizers.Adam(0.01, gradient_accumulation_steps=3),
    "clipnorm": lambda: optimizers.Adam(0.01, clipnorm=0.05),
    "global_clipnorm": lambda: optimizers.SGD(0.05, global_clipnorm=0.05),
    "clipvalue": lambda: optimizers.SGD(0.05, clipvalue=0.01),
    "weight decay": lambda: optimizers.SGD(0.05, momentum=0.9, weight_decay=0.1),
    "schedule": lambda: optimizers.Adam(optimizers.schedules.CosineDecay(0.01, 8)),
}
