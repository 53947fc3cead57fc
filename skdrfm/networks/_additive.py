"""The additive LSTM cell for Keras: a memory that only adds."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="skdrfm")
class AdditiveLSTMCell(keras.layers.Layer):
    """LSTM cell without forget gate, output gate and squashed output: ``c_t = c_{t-1} + i_t phi(x_t W)``.

    The input gate reads the memory alone, ``i_t = gate(c_{t-1} U + b)``, and the cell input the input alone (RUDDER,
    Arjona-Medina et al. 2019, 1806.07857, A8.4.2). The forecast of a linear output is then a sum over time steps by
    construction. The cell input has no bias, so that an input of 0 adds nothing.

    Parameters
    ----------
    units : int
        Units of the memory.
    activation : str, default="tanh"
        Activation of the cell input.
    recurrent_activation : str, default="sigmoid"
        Activation of the input gate.
    kernel_initializer, recurrent_initializer : initializer
        Of the weights of the cell input and of the gate.
    kernel_regularizer, recurrent_regularizer : regularizer or None
        Penalties on them.
    **kwargs
        Of the Keras layer: name, dtype.
    """

    def __init__(
        self,
        units: int,
        activation: str = "tanh",
        recurrent_activation: str = "sigmoid",
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = self.state_size = self.output_size = units
        self.activation = keras.activations.get(activation)
        self.recurrent_activation = keras.activations.get(recurrent_activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = keras.regularizers.get(recurrent_regularizer)

    def build(self, input_shape: Any) -> None:
        """Make the weights."""
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.units),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            name="kernel",
        )
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, self.units),
            initializer=self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            name="recurrent_kernel",
        )
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")

    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, list[Any]]:
        """Add what the input gate lets in to the memory."""
        (memory,) = states
        gate = self.recurrent_activation(keras.ops.matmul(memory, self.recurrent_kernel) + self.bias)
        memory = memory + gate * self.activation(keras.ops.matmul(inputs, self.kernel))
        return memory, [memory]

    def get_config(self) -> dict[str, Any]:
        """Describe the cell, so that a model with it can be saved."""
        return {
            **super().get_config(),
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "recurrent_activation": keras.activations.serialize(self.recurrent_activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": keras.initializers.serialize(self.recurrent_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "recurrent_regularizer": keras.regularizers.serialize(self.recurrent_regularizer),
        }
