"""Changes under a running `fit`: the only folder that touches private Keras.

- `variables.py` gives a variable a value of another shape, for all who hold it.
- `slots.py` has what optimizers remember follow.
- `optimizers.py` finds the optimizers, and says what weight decay reaches.
- `models.py` knows which models hold a layer, and has them compile anew.
- `changes.py` gives layers another state, with all that depends on it.
- `losses.py` has a teacher's part in a model's loss.

Written against Keras 3.15, which `pyproject.toml` pins for the sake of this folder.
"""
