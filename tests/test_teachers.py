"""What a teacher is asked, what it adds to the loss, and where it is not."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from small_models import (
    BATCH,
    AtEpoch,
    arrays,
    assert_identical,
    classification_data,
    compiled,
    every_layer,
    factorized,
    perceptron,
    prune_at,
    train,
)

import keras_dprp as dprp

X, Y = classification_data()
# Nothing moves, so that every loss is of the same weights.
STILL = 0.0
ON_PYTORCH = keras.backend.backend() == "torch"


def softened(logits, temperature):
    scores = np.asarray(logits, "float64") / temperature
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return scores / scores.sum(axis=-1, keepdims=True)


def kl_divergence(wanted, given, temperature):
    """Of logits, over the last axis, as the literature scales it."""
    wanted, given = softened(wanted, temperature), softened(given, temperature)
    return temperature**2 * np.mean(
        np.sum(wanted * (np.log(wanted) - np.log(given)), axis=-1)
    )


def of_two(logits):
    return np.stack([logits, np.zeros_like(logits)], axis=-1)


def networks(make):
    """A trained network, and another one of the same form to learn from it."""
    keras.utils.set_random_seed(1)
    teacher = make()
    keras.utils.set_random_seed(2)
    return teacher, make()


def outputs_of(model, x=X):
    outputs = model(x, training=False)
    return keras.tree.map_structure(ops.convert_to_numpy, outputs)


def loss_with(teacher, student, loss, y, share=0.25, x=X, temperature=3.0, **arguments):
    """The loss of a training step that moves nothing."""
    model = every_layer(
        student, teacher=dprp.Teacher(teacher, share=share, temperature=temperature)
    )
    model.compile(keras.optimizers.SGD(STILL), loss, **arguments)
    return model.train_on_batch(x, y)


def head(activation=None, units=4):
    return lambda: keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8, "tanh", name="hidden"),
            layers.Dense(units, activation, name="head"),
        ]
    )


def logits_of(probabilities):
    return np.log(probabilities) - np.log(1 - probabilities)


LABELS = (Y % 2).astype("float32")[:, None]
ONE_HOT = np.eye(4, dtype="float32")[Y]
KINDS = {
    "logits": (
        head(),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        Y,
        lambda x: x,
    ),
    "probabilities": (
        head("softmax"),
        "categorical_crossentropy",
        ONE_HOT,
        np.log,
    ),
    "a label as logit": (
        head(units=1),
        keras.losses.BinaryCrossentropy(from_logits=True),
        LABELS,
        of_two,
    ),
    "labels as probabilities": (
        head("sigmoid"),
        "binary_crossentropy",
        ONE_HOT,
        lambda x: of_two(logits_of(x)),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_class_scores_are_compared_softened(kind):
    make, loss, y, logits = KINDS[kind]
    teacher, student = networks(make)
    task = ops.convert_to_numpy(
        ops.mean(keras.losses.get(loss)(y, student(X, training=False)))
    )
    pair = [logits(outputs_of(each)) for each in (teacher, student)]
    expected = task + 0.25 * kl_divergence(*pair, 3.0)
    # The labels have the rest of the gradient; their loss is reported whole.
    assert loss_with(teacher, student, loss, y) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("loss", ["mse", "mae", keras.losses.Huber(0.1)])
def test_other_outputs_are_compared_by_the_loss_itself(loss):
    teacher, student = networks(head())
    function = keras.losses.get(loss)
    answers, outputs = outputs_of(teacher), outputs_of(student)
    task = ops.mean(function(ONE_HOT, outputs))
    expected = task + 0.25 * ops.mean(function(answers, outputs))
    actual = loss_with(teacher, student, loss, ONE_HOT)
    assert actual == pytest.approx(float(ops.convert_to_numpy(expected)), rel=1e-5)


def several(kind):
    inputs = keras.Input((6,))
    outputs = {
        "scores": layers.Dense(4, "softmax", name="scores")(inputs),
        "amount": layers.Dense(2, name="amount")(inputs),
    }
    return keras.Model(inputs, outputs if kind is dict else list(outputs.values()))


@pytest.mark.parametrize("kind", [dict, list])
def test_several_outputs_each_by_its_own_loss_and_weight(kind):
    teacher, student = networks(lambda: several(kind))
    amounts = np.ones((len(X), 2), "float32")
    losses = {"scores": "categorical_crossentropy", "amount": "mse"}
    weights, y = {"scores": 2.0, "amount": 3.0}, {"scores": ONE_HOT, "amount": amounts}
    if kind is list:
        losses, weights, y = (list(each.values()) for each in (losses, weights, y))
    answers, outputs = (
        [each[name] for name in ("scores", "amount")] if kind is dict else each
        for each in (outputs_of(teacher), outputs_of(student))
    )
    student.compile(keras.optimizers.SGD(STILL), losses, loss_weights=weights)
    task = student.evaluate(X, y, batch_size=len(X), verbose=0)
    task = task[0] if isinstance(task, list) else task
    distance = 2 * kl_divergence(np.log(answers[0]), np.log(outputs[0]), 3.0)
    distance += 3 * np.mean(np.square(answers[1] - outputs[1]))
    actual = loss_with(teacher, student, losses, y, loss_weights=weights)
    actual = actual[0] if isinstance(actual, list) else actual
    assert actual == pytest.approx(task + 0.25 * distance, rel=1e-4)


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_the_labels_have_the_rest_of_the_gradient(share):
    teacher, student = networks(head())
    rate = 0.1

    def moved(model):
        """How far the last layer has moved."""
        before = arrays(model.layers[-1].trainable_variables)
        model.compile(keras.optimizers.SGD(rate), "mse")
        model.train_on_batch(X, ONE_HOT)
        after = arrays(model.layers[-1].trainable_variables)
        return [b - a for a, b in zip(after, before, strict=True) if a.size]

    taught = moved(every_layer(student, teacher=dprp.Teacher(teacher, share=share)))
    # For a squared error, learning from both is learning from their mean.
    target = (1 - share) * ONE_HOT + share * outputs_of(teacher)
    mean = keras.models.clone_model(student)
    mean.set_weights(student.get_weights())
    mean.compile(keras.optimizers.SGD(rate), "mse")
    before = arrays(mean.layers[-1].trainable_variables)
    mean.train_on_batch(X, target)
    after = arrays(mean.layers[-1].trainable_variables)
    for one, a, b in zip(taught, before, after, strict=True):
        np.testing.assert_allclose(one, a - b, atol=1e-6)


# The network as its own teacher.


def losses_by_epoch(model, callbacks, epochs=4, **arguments):
    return train(model, callbacks, epochs=epochs, **arguments).history["loss"]


def test_a_plain_fit_is_that_of_a_network_without_teacher():
    stock = perceptron()
    model, taught = (
        factorized(stock, "adam", {"teacher": each}) for each in (None, "self")
    )
    assert losses_by_epoch(taught, []) == losses_by_epoch(model, [])
    assert_identical(
        arrays(taught.trainable_variables), arrays(model.trainable_variables)
    )


@pytest.mark.parametrize("names_training", [False, True])
def test_a_loss_of_the_users_own_stays(names_training):
    class Penalized(keras.Model):
        """Its loss is larger by 100."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        loss = keras.Model.compute_loss(self, x, y, y_pred, sample_weight)
        return loss + 100.0

    def compute_training_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        return compute_loss(self, x, y, y_pred, sample_weight)

    Penalized.compute_loss = compute_training_loss if names_training else compute_loss
    stock = perceptron()
    network = Penalized(stock.inputs, stock.outputs)
    model = factorized(network, "sgd", {"teacher": "self"})
    losses = train(model, [dprp.RankPruningCallback(0.9, start=1)], epochs=3)
    assert min(losses.history["loss"]) > 99


def test_it_teaches_from_the_start_on_and_never_before():
    stock = perceptron()
    model, taught = (
        factorized(stock, "adam", {"teacher": each}) for each in (None, "self")
    )
    memory = []

    def look(logs):
        memory.append(sum(v.size for v in arrays(taught.layers[0].variables[:1])))

    alone = losses_by_epoch(model, [prune_at(2)])
    watch = [AtEpoch(epoch, end=look) for epoch in range(4)]
    together = losses_by_epoch(taught, [prune_at(2), *watch])
    assert together[:2] == alone[:2]
    assert together[2] != alone[2]
    # It costs no memory before.
    assert memory[:2] == [0, 0]
    assert memory[2] == memory[3] == perceptron().count_params()


class Killed(Exception):
    pass


class KillAt(keras.callbacks.Callback):
    """Breaks a fit off in the middle of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.now, batch) == (self.epoch, 2):
            raise Killed


@pytest.mark.parametrize("size", [{"target": 0.5}, {"threshold": 0.1}])
@pytest.mark.parametrize("start, kills", [(0, [0]), (1, [1]), (1, [1, 1]), (1, [2])])
def test_a_fit_that_was_killed_after_the_cut_keeps_its_teacher(
    start, kills, size, tmp_path
):
    taught = {}

    def fit(kill=None):
        model = factorized(perceptron(), "adam", {"teacher": "self"})

        def network(logs):
            taught.setdefault("dense", np.concatenate([w.ravel() for w in of(model)]))

        def of(model):
            return arrays(v for x in model.layers[1:] for v in (x.kernel, x.bias))

        def look(logs):
            taught["by"] = arrays(model.layers[0].variables[:1])[0]

        pruning = dprp.RankPruningCallback(
            **{"target": None, **size}, start=start, stop=start, verbose=0
        )
        # By batches: at the time of the kill the backup is of a network that is cut.
        backup = keras.callbacks.BackupAndRestore(tmp_path, save_freq=1)
        callbacks = [AtEpoch(start, begin=network), pruning, backup]
        callbacks += [AtEpoch(3, end=look)] + [KillAt(kill)] * (kill is not None)
        train(model, callbacks, epochs=4)

    for kill in kills:
        with pytest.raises(Killed):
            fit(kill)
    fit()
    assert_identical([taught["by"]], [taught["dense"]])


def test_a_later_fit_has_a_teacher_of_its_own():
    model = factorized(perceptron(), "adam", {"teacher": "self"})
    train(model, [prune_at(1)])
    (first,) = arrays(model.layers[0].variables[:1])
    train(model, [prune_at(1)])
    (second,) = arrays(model.layers[0].variables[:1])
    assert first.shape == second.shape
    assert np.any(first != second)


def augmented(inner, noise=0.5):
    augmentation = [
        layers.RandomFlip("horizontal"),
        layers.RandomTranslation(0.3, 0.3),
        layers.GaussianNoise(noise),
    ]
    return keras.Sequential([keras.Input((5, 5, 2)), *augmentation, *inner])


def conv_and_head(dropout=()):
    return [
        layers.Conv2D(4, 3, activation="relu", name="conv"),
        layers.BatchNormalization(),
        layers.Flatten(),
        *dropout,
        layers.Dense(4, name="logits"),
    ]


def test_it_sees_the_augmented_inputs_that_the_network_sees():
    # A network that is taught by itself alone, and not cut, is at no distance.
    inner = conv_and_head()
    inner.pop(1)  # In training its statistics are those of a batch.
    teacher = dprp.Teacher("self", share=1.0)
    model = factorized(
        augmented(inner), keras.optimizers.SGD(STILL), {"teacher": teacher}
    )
    added = []

    class Distance(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            watched = [x for x in model.layers if hasattr(x, "added")]
            added.extend(x.added() for x in watched)

    callback = prune_at(0, target=1.0)
    losses = losses_by_epoch(model, [Distance(), callback], epochs=2)
    np.testing.assert_allclose(added, [0.0, 0.0], atol=1e-6)
    # Augmentation that differs from step to step is there all the same.
    assert losses[0] != losses[1]


def test_what_the_network_was_stays_what_it_was():
    def forgotten(teacher):
        """How far the outputs are from what they were before the event."""
        model = factorized(
            perceptron(), keras.optimizers.SGD(0.5), {"teacher": teacher}
        )
        before = []
        remember = AtEpoch(1, begin=lambda logs: before.append(outputs_of(model)))
        train(model, [remember, prune_at(1, target=0.95)], epochs=6)
        return np.abs(outputs_of(model) - before[0]).max()

    # Taught by itself alone it does not forget, whatever the labels say.
    assert forgotten(dprp.Teacher(share=1.0)) < 0.5 * forgotten(None)


def test_evaluation_asks_no_teacher():
    teacher, student = networks(perceptron)
    model = factorized(student, keras.optimizers.SGD(STILL), {"teacher": teacher})
    compiled(student)
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(
        student.evaluate(X, Y, verbose=0), rel=1e-6
    )


# PyTorch's compiler warns of Keras's own code.
SETTINGS = [{"run_eagerly": True}] + [{"jit_compile": True}] * (not ON_PYTORCH)


@pytest.mark.parametrize("settings", SETTINGS)
def test_however_it_is_compiled(settings):
    def losses(**arguments):
        keras.utils.set_random_seed(0)
        model = factorized(perceptron(), "adam", {"teacher": "self"}, **arguments)
        return losses_by_epoch(model, [prune_at(1)], epochs=3)

    np.testing.assert_allclose(losses(**settings), losses(), rtol=1e-4)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    if ON_PYTORCH and policy == "mixed_float16":
        pytest.skip("On a CPU PyTorch has no such gradients of all convolutions.")
    keras.config.set_dtype_policy(policy)
    try:
        model = factorized(augmented(conv_and_head()), "adam", {"teacher": "self"})
        losses = losses_by_epoch(model, [prune_at(1)], epochs=3)
    finally:
        keras.config.set_dtype_policy("float32")
    assert np.isfinite(losses).all()


# Where it is not.


def test_fold_strips_it():
    model = every_layer(augmented(conv_and_head()), teacher="self", rank=1)
    folded = dprp.fold(model)
    names = [type(layer).__module__ for layer in folded.layers]
    assert all(name.startswith("keras.") for name in names)
    x = classification_data((5, 5, 2))[0]
    np.testing.assert_allclose(outputs_of(folded, x), outputs_of(model, x), atol=1e-5)
    report = dprp.summary(model)
    assert report.parameters == sum(
        np.prod(w.shape) for w in folded.weights if w.dtype == "float32"
    )


def test_no_file_has_what_it_remembers(tmp_path):
    model = factorized(perceptron(), "adam", {"teacher": "self"})
    sizes = {}

    def save(logs):
        model.save(tmp_path / "within.keras")

    train(model, [prune_at(1), AtEpoch(2, end=save)], epochs=3)
    model.save(tmp_path / "after.keras")
    for name in ("within", "after"):
        loaded = keras.saving.load_model(tmp_path / f"{name}.keras")
        np.testing.assert_array_equal(outputs_of(loaded), outputs_of(model))
        sizes[name] = sum(np.prod(w.shape) for w in loaded.non_trainable_weights)
        # What has been saved can be cut, and taught, once more.
        train(loaded, [prune_at(0, target=0.4)], epochs=1)
    assert sizes["after"] == 2
    assert sizes["within"] == 2 + perceptron().count_params()


def test_an_external_teacher_is_left_alone_and_teaches_after_saving_by_none(tmp_path):
    teacher, student = networks(perceptron)
    before = arrays(teacher.weights)
    model = factorized(student, "adam", {"teacher": teacher})
    train(model, [], epochs=2)
    assert_identical(arrays(teacher.weights), before)
    assert len(model.trainable_variables) == len(
        every_layer(student).trainable_variables
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(outputs_of(loaded), outputs_of(model))
    train(loaded, [], epochs=1)


def test_a_factorised_model_may_teach():
    teacher, student = networks(perceptron)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    same = every_layer(teacher, rank=1.0, teacher="self")
    expected = loss_with(teacher, student, loss, Y)
    assert loss_with(same, student, loss, Y) == pytest.approx(expected, rel=1e-5)


# Bad input.


@pytest.mark.parametrize(
    "make, error, match",
    [
        (lambda: dprp.Teacher("other"), ValueError, "Received: 'other'"),
        (lambda: dprp.Teacher(3), TypeError, "Received: 3"),
        (lambda: dprp.Teacher(share=0), ValueError, "Received: share=0"),
        (lambda: dprp.Teacher(share=1.5), ValueError, "Received: share=1.5"),
        (lambda: dprp.Teacher(share="x"), TypeError, "Received: share='x'"),
        (lambda: dprp.Teacher(temperature=0), ValueError, "temperature=0"),
        (lambda: dprp.Teacher(temperature=None), TypeError, "temperature=None"),
        (lambda: dprp.Teacher(keras.Sequential()), ValueError, "functional or Seq"),
    ],
)
def test_bad_arguments(make, error, match):
    with pytest.raises(error, match=match):
        make()


def test_a_teacher_of_other_outputs_is_refused():
    with pytest.raises(ValueError, match=r"outputs of shapes.*Received: .*5\)"):
        every_layer(perceptron(), teacher=head(units=5)())


def test_a_teacher_of_other_inputs_is_refused():
    wide = keras.Sequential([keras.Input((7,)), layers.Dense(4)])
    with pytest.raises(ValueError, match="Received: .*7"):
        every_layer(perceptron(), teacher=wide)


def test_a_teacher_without_the_networks_augmentation_is_refused():
    plain = keras.Sequential([keras.Input((5, 5, 2)), *conv_and_head()])
    with pytest.raises(ValueError, match="Received: .*without augmentation.*gaussian"):
        every_layer(augmented(conv_and_head()), teacher=plain)


def test_inputs_of_which_some_are_augmented_are_refused():
    a, b = keras.Input((6,)), keras.Input((6,))
    x = layers.Concatenate()([layers.GaussianNoise(0.1, name="noise")(a), b])
    model = keras.Model([a, b], layers.Dense(4)(layers.Dense(8)(x)))
    # One joins the other before anything learns: the joint is what the teacher sees.
    x = layers.Add()(
        [layers.Dense(8)(layers.GaussianNoise(0.1)(a)), layers.Dense(8)(b)]
    )
    apart = keras.Model([a, b], layers.Dense(4)(x))
    with pytest.raises(ValueError, match="all of them must be augmented.*Received: "):
        every_layer(apart, teacher="self")
    every_layer(model, teacher="self")


def test_a_nested_model_with_a_teacher_is_refused():
    inner = every_layer(perceptron(), teacher="self")
    inputs = keras.Input((6,))
    model = compiled(keras.Model(inputs, inner(inputs)))
    before = arrays(model.weights)
    with pytest.raises(ValueError, match="must belong to the model that is fitted"):
        train(model, [prune_at(1)], x=X, y=Y)
    assert_identical(arrays(model.weights), before)


def test_a_batch_that_is_cut_short_has_its_own_answers():
    # 32 samples in batches of 5: the last has two.
    model = factorized(perceptron(), "adam", {"teacher": "self"})
    losses = losses_by_epoch(model, [prune_at(1)], epochs=3, batch_size=BATCH - 3)
    assert np.isfinite(losses).all()


def test_weights_of_a_network_without_a_teacher_load_into_one_with_it(tmp_path):
    path = tmp_path / "model.weights.h5"
    source = every_layer(perceptron())
    source.save_weights(path)
    model = every_layer(perceptron(), teacher="self")
    model.load_weights(path)
    x = np.ones((2, *model.input_shape[1:]), "float32")
    np.testing.assert_array_equal(*(arrays([m(x)])[0] for m in (model, source)))
