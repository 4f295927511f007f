"""What runs in the process of tf_keras."""
