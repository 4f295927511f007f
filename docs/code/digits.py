import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

digits = load_digits()
images = (digits.images[..., None] / 16).astype("float32")  # (1797, 8, 8, 1)
order = np.random.default_rng(0).permutation(len(images))
train, val, test = np.split(order, [len(order) * 2 // 3, len(order) * 5 // 6])
x, x_val, x_test = images[train], images[val], images[test]
y, y_val, y_test = (digits.target[part] for part in (train, val, test))


def build():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            layers.Conv2D(32, 3, padding="same", activation="relu", name="conv1"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, padding="same", activation="relu", name="conv2"),
            layers.Conv2D(64, 3, padding="same", activation="relu", name="conv3"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10, activation="softmax", name="digit"),
        ],
        name="digits",
    )
