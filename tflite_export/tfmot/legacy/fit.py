"""One training of tf_keras."""

import numpy as np
import tf_keras


def fit(job, model, callbacks=()):
    """Train a classifier as a job says; print a line after each epoch."""
    tf_keras.utils.set_random_seed(job.seed)
    schedule = tf_keras.optimizers.schedules.CosineDecay(
        job.learning_rate, job.training_steps
    )
    model.compile(
        tf_keras.optimizers.Adam(schedule),
        tf_keras.losses.SparseCategoricalCrossentropy(from_logits=job.from_logits),
        metrics=["accuracy"],
    )
    history = model.fit(
        np.asarray(job.x),
        job.y,
        batch_size=job.batch_size,
        epochs=job.epochs,
        verbose=0,
        callbacks=[*callbacks, _Progress(job.epochs)],
    ).history
    if not np.isfinite(history["loss"][-1]):
        raise RuntimeError(
            f"The training diverged: its loss is {history['loss'][-1]} after "
            f"epoch {len(history['loss'])}. Choose a lower `learning_rate`. "
            f"Received: learning_rate={job.learning_rate}"
        )


class _Progress(tf_keras.callbacks.Callback):
    def __init__(self, epochs):
        super().__init__()
        self.epochs = epochs

    def on_epoch_end(self, epoch, logs=None):
        # At once: the other process shows each line as it comes.
        print(
            f"epoch {epoch + 1}/{self.epochs}: loss {logs['loss']:.4f}, "
            f"accuracy {logs['accuracy']:.2%} while training",
            flush=True,
        )
        self.model.stop_training = not np.isfinite(logs["loss"])
