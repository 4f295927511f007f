"""The layer that shows a teacher what a network sees."""

import threading
import types

import keras
import numpy as np
from keras import ops

from keras_dprp import distances
from keras_dprp.live import changes, losses, models


@keras.saving.register_keras_serializable(package="keras_dprp")
class Distillation(keras.layers.Layer):
    """Passes the augmented inputs on, and shows them to a teacher in training.

    What the teacher knows is one variable, empty where there is none: it is in the
    state that a training step takes, and in files of a `fit` that is not over, so that
    this can go on; in no other file.

    Args:
        own: Whether the network is its own teacher.
        share, temperature: As of `Teacher`.

    Attributes:
        memory: Variable: all weights of the teacher, one after the other.
        distances: Variable: sum of what the teacher added to the loss of the training
            steps, and how many these were.
        in_fit: Whether the memory is of a `fit` that is not over: one that runs, was
            broken off, or left the file that was loaded.
    """

    def __init__(self, own, share, temperature, **kwargs):
        super().__init__(**kwargs)
        self.own, self.share, self.temperature = own, share, temperature
        self.in_fit = False
        # In objects that Keras does not track: the teacher is no part of the network.
        self._teacher = types.SimpleNamespace(network=None)
        # What one step has shown; a distribution strategy has a thread a replica.
        self._step = threading.local()

    def build(self, input_shape):
        if hasattr(self, "memory"):
            return  # It may stand behind several inputs, of several shapes.
        float32 = {"dtype": "float32", "autocast": False, "trainable": False}
        self.memory = self.add_weight(
            name="memory", shape=(0,), initializer="zeros", **float32
        )
        # Each replica of a distribution strategy adds up its own.
        self.distances = keras.Variable(
            "zeros",
            shape=(2,),
            name="distances",
            aggregation="mean",
            synchronization="on_read",
            **float32,
        )
        self.built = True

    def call(self, inputs, training=None):
        models.note_caller(self)
        if training and self.teaches:
            seen = getattr(self._step, "seen", [])
            # A step that asked for no loss has left its own behind.
            complete = len(seen) == len(self._teacher.network.inputs)
            self._step.seen = [inputs] if complete else [*seen, inputs]
        return inputs

    def compute_output_spec(self, inputs, training=None):
        return keras.KerasTensor(inputs.shape, inputs.dtype)

    @property
    def remembers(self):
        """Whether it has the weights of a teacher, if not the form of it."""
        return 0 not in self.memory.shape

    @property
    def teaches(self):
        """Whether there is a teacher now."""
        return self.remembers and self._teacher.network is not None

    def learn_from(self, network):
        """Make a network the teacher, as it is now.

        Args:
            network: A `keras.Model` from the augmented inputs to the outputs.
        """
        self._teacher.network = network
        weights = [ops.convert_to_numpy(v).ravel() for v in _floats(network)]
        memory = np.concatenate(weights, dtype="float32") if weights else np.zeros(1)
        changes.set_plain_value(self, self.memory, memory)

    def begin_fit(self, network):
        """In a `fit`: know the form of the network that a memory belongs to.

        Args:
            network: A `keras.Model` from the augmented inputs to the outputs.
        """
        self.in_fit = True
        if self._teacher.network is None:
            self._teacher.network = network

    def end_fit(self):
        """After a `fit`: files hold no memory of the teacher from now on."""
        self.in_fit = False

    def added(self):
        """What the teacher added to the loss, a mean over steps; it starts anew."""
        total, steps = ops.convert_to_numpy(self.distances)
        self.distances.assign(np.zeros(2, "float32"))
        return float(total / steps) if steps else 0.0

    def compute_loss(self, model, task_loss, y_pred):
        """The loss of a training step: of the labels and of the teacher.

        Args:
            model: The compiled model.
            task_loss: Function from outputs to the loss of the labels.
            y_pred: The outputs of the model.
        """
        inputs = getattr(self._step, "seen", None)
        self._step.seen = []
        if not inputs:
            return task_loss(y_pred)

        # The labels have the rest: of their loss, the same share of the gradient.
        def shared(output):
            return self.share * ops.stop_gradient(output) + (1 - self.share) * output

        loss = task_loss(keras.tree.map_structure(shared, y_pred))
        answers = self._answers(inputs, y_pred)
        distance = self.share * distances.between(
            answers, y_pred, model, self.temperature
        )
        if models.in_step():
            one = ops.ones((), "float32")
            whole = losses.of_all_replicas(ops.cast(distance, "float32"))
            self.distances.assign(self.distances + ops.stack([whole, one]))
        return loss + ops.cast(distance, loss.dtype)

    def _answers(self, inputs, y_pred):
        network, place = self._teacher.network, 0
        values: dict[int, object] = {}
        memory = ops.convert_to_tensor(self.memory)
        for variable in _floats(network):
            size = int(np.prod(variable.shape))
            value = ops.reshape(memory[place : place + size], variable.shape)
            values[id(variable)] = ops.cast(value, variable.dtype)
            place += size
        trainable, others = (
            [values.get(id(v), v.value) for v in variables]
            for variables in (
                network.trainable_variables,
                network.non_trainable_variables,
            )
        )
        outputs, _ = network.stateless_call(trainable, others, inputs, training=False)
        flat = keras.tree.flatten(outputs)
        answers = keras.tree.pack_sequence_as(y_pred, flat)
        return keras.tree.map_structure(ops.stop_gradient, answers)

    # What `live/models.py` asks of layers whose variables change shape.

    def state_variables(self):
        return {"memory": self.memory}

    def settle_in(self, model):
        return losses.wrap_loss(model, self)

    def check_values(self, values):
        if values["memory"].ndim != 1:
            raise ValueError(
                f"Layer '{self.name}' expected 'memory' of one axis. "
                f"Received: shape {values['memory'].shape}"
            )

    def load_values(self, values):
        changes.set_plain_value(self, self.memory, values["memory"])

    def save_own_variables(self, store):
        memory = ops.convert_to_numpy(self.memory)
        keep = self.in_fit and self.own
        store["memory"] = memory if keep else memory[:0]
        store["distances"] = ops.convert_to_numpy(self.distances)

    def load_own_variables(self, store):
        if "memory" not in set(store.keys()):
            return  # Of a network that had no teacher.
        values = {"memory": np.asarray(store["memory"])}
        self.check_values(values)
        # A teacher that was given as a model is in no file, and stays.
        if self.own:
            self.load_values(values)
            self.in_fit = self.remembers
        self.distances.assign(np.asarray(store["distances"]))

    def get_config(self):
        own = {"own": self.own, "share": self.share, "temperature": self.temperature}
        return {**super().get_config(), **own}


def _floats(network):
    return [v for v in network.variables if keras.backend.is_float_dtype(v.dtype)]
