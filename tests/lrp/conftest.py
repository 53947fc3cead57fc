"""A literal oracle of relevance propagation, and random networks to try it on.

The oracle computes one number at a time from the messages R_i<-j = (part / (z + eps s)) R_j of Bach
et al. (2015) and Arras et al. (2017): relevances are divided and passed, loadings never appear.
"""

import math

import numpy as np
import pytest

from skdrfm.lrp import LSTM, Bidirectional, Dense, Flatten, Network

PHI = {
    "linear": lambda z: z,
    "relu": lambda z: max(z, 0.0),
    "tanh": math.tanh,
    "elu": lambda z: z if z > 0 else math.exp(z) - 1.0,
}
GATE = {
    "sigmoid": lambda z: 1.0 / (1.0 + math.exp(-z)),
    "hard_sigmoid": lambda z: min(max(z + 3.0, 0.0), 6.0) / 6.0,
}


class Oracle:
    def __init__(self, epsilon, mode):
        self.epsilon, self.mode = epsilon, mode
        self.bias = self.stabilizer = 0.0

    def eps_for(self, zs):
        if self.mode == "absolute":
            return self.epsilon
        flat = [z for step in zs for z in step]
        return self.epsilon * math.sqrt(sum(z * z for z in flat) / len(flat))

    @staticmethod
    def message(part, z, eps, relevance):
        denominator = z + (eps if z >= 0 else -eps)
        return 0.0 if denominator == 0 else part / denominator * relevance

    def keep(self, bias, z, eps, relevance):
        self.bias += self.message(bias, z, eps, relevance)
        self.stabilizer += self.message(eps if z >= 0 else -eps, z, eps, relevance)

    # each layer: x is a list over time of lists over units
    def dense(self, layer, x, relevance=None):
        n_in, n_out = layer.kernel.shape
        zs = [[sum(xt[i] * layer.kernel[i, j] for i in range(n_in)) + layer.bias[j] for j in range(n_out)] for xt in x]
        if relevance is None:
            return [[PHI[layer.activation](z) for z in step] for step in zs]
        eps = self.eps_for(zs)
        below = [[0.0] * n_in for _ in x]
        for t, xt in enumerate(x):
            for j in range(n_out):
                for i in range(n_in):
                    part = xt[i] * layer.kernel[i, j]
                    below[t][i] += self.message(part, zs[t][j], eps, relevance[t][j])
                self.keep(layer.bias[j], zs[t][j], eps, relevance[t][j])
        return below

    def lstm(self, layer, x, relevance=None):
        if layer.go_backwards:
            x = x[::-1]
        u, n_in = layer.n_units, layer.n_inputs
        phi, gate = PHI[layer.activation], GATE[layer.recurrent_activation]
        W, U, b = layer.kernel, layer.recurrent_kernel, layer.bias
        hs, cs, gates, zgs = [[0.0] * u], [[0.0] * u], [], []
        for xt in x:
            z = [
                sum(xt[d] * W[d, k] for d in range(n_in)) + sum(hs[-1][j] * U[j, k] for j in range(u)) + b[k]
                for k in range(4 * u)
            ]
            i, f, o = ([gate(v) for v in z[n * u : (n + 1) * u]] for n in (0, 1, 3))
            zg = z[2 * u : 3 * u]
            c = [f[k] * cs[-1][k] + i[k] * phi(zg[k]) for k in range(u)]
            cs.append(c)
            hs.append([o[k] * phi(c[k]) for k in range(u)])
            gates.append((i, f))
            zgs.append(zg)
        T = len(x)
        if relevance is None:
            return hs[1:] if layer.return_sequences else [hs[-1]]
        eps_c, eps_g = self.eps_for(cs[1:]), self.eps_for(zgs)
        R_h = [[0.0] * u for _ in range(T + 1)]
        R_c = [[0.0] * u for _ in range(T + 1)]
        R_x = [[0.0] * n_in for _ in range(T)]
        for step in range(len(relevance)):
            R_h[T - len(relevance) + 1 + step] = list(relevance[step])
        for t in range(T, 0, -1):
            i, f = gates[t - 1]
            for k in range(u):
                R_c[t][k] += R_h[t][k]
                c = cs[t][k]
                R_c[t - 1][k] += self.message(f[k] * cs[t - 1][k], c, eps_c, R_c[t][k])
                zg = zgs[t - 1][k]
                R_g = self.message(i[k] * phi(zg), c, eps_c, R_c[t][k])
                self.keep(0.0, c, eps_c, R_c[t][k])
                for d in range(n_in):
                    part = x[t - 1][d] * W[d, 2 * u + k]
                    R_x[t - 1][d] += self.message(part, zg, eps_g, R_g)
                for j in range(u):
                    part = hs[t - 1][j] * U[j, 2 * u + k]
                    R_h[t - 1][j] += self.message(part, zg, eps_g, R_g)
                self.keep(b[2 * u + k], zg, eps_g, R_g)
        assert not any(R_h[0])
        assert not any(R_c[0])
        return R_x[::-1] if layer.go_backwards else R_x

    def bidirectional(self, layer, x, relevance=None):
        ahead = self.lstm(layer.forward, x)
        back = self.lstm(layer.backward, x)[::-1]
        if relevance is None:
            if layer.merge_mode == "concat":
                return [a + b for a, b in zip(ahead, back, strict=True)]
            weight = 0.5 if layer.merge_mode == "ave" else 1.0
            return [[weight * (p + q) for p, q in zip(a, b, strict=True)] for a, b in zip(ahead, back, strict=True)]
        if layer.merge_mode == "concat":
            u = layer.forward.n_units
            R_ahead, R_back = [r[:u] for r in relevance], [r[u:] for r in relevance]
        else:
            R_ahead, R_back = (
                [
                    [self.message(own[t][k], ahead[t][k] + back[t][k], 0.0, r) for k, r in enumerate(row)]
                    for t, row in enumerate(relevance)
                ]
                for own in (ahead, back)
            )
        one = self.lstm(layer.forward, x, R_ahead)
        two = self.lstm(layer.backward, x, R_back[::-1])
        return [[p + q for p, q in zip(a, b, strict=True)] for a, b in zip(one, two, strict=True)]

    def flatten(self, layer, x, relevance=None):
        if relevance is None:
            return [[value for step in x for value in step]]
        n = len(x[0])
        return [relevance[0][t * n : (t + 1) * n] for t in range(len(x))]

    def run(self, network, sample):
        inputs = [[[float(v) for v in step] for step in sample]]
        functions = [getattr(self, type(layer).__name__.lower()) for layer in network.layers]
        for layer, function in zip(network.layers, functions, strict=True):
            inputs.append(function(layer, inputs[-1]))
        prediction = inputs[-1][0][0]
        relevance = [[prediction]]
        for k in range(len(functions) - 1, -1, -1):
            relevance = functions[k](network.layers[k], inputs[k], relevance)
        return prediction, np.array(relevance), self.bias, self.stabilizer


def _explain_literally(network, X, epsilon, mode):
    """Predictions, relevances, bias and stabilizer parts of every sample."""
    results = [Oracle(epsilon, mode).run(network, sample) for sample in X]
    return tuple(np.array(part) for part in zip(*results, strict=True))


class Maker:
    """Random layers and networks from one generator."""

    def __init__(self, seed, *, biases=True):
        self.rng = np.random.default_rng(seed)
        self.biases = biases

    def _bias(self, n):
        return self.rng.normal(size=n) * self.biases

    def dense(self, n_in, n_units, activation="linear"):
        kernel = self.rng.normal(size=(n_in, n_units)) / np.sqrt(n_in)
        return Dense(kernel, self._bias(n_units), activation)

    def lstm(self, n_in, n_units, **options):
        return LSTM(
            self.rng.normal(size=(n_in, 4 * n_units)) * 0.7,
            self.rng.normal(size=(n_units, 4 * n_units)) * 0.7,
            self._bias(4 * n_units),
            **options,
        )

    def bidirectional(self, n_in, n_units, merge_mode="concat", **options):
        one, two = self.lstm(n_in, n_units, **options), self.lstm(n_in, n_units, **options)
        return Bidirectional(one, two, merge_mode)

    def network(self, n_timesteps, n_features, recurrent=(), dense=(), lstm_options=None):
        """Recurrent layers ("lstm", "reversed", "concat", "sum", "ave"), Flatten, a dense head."""
        layers, size = [], n_features
        for position, kind in enumerate(recurrent):
            options = {
                "return_sequences": position < len(recurrent) - 1,
                **(lstm_options or {}),
            }
            units = int(self.rng.integers(1, 4))
            if kind in ("lstm", "reversed"):
                layers.append(self.lstm(size, units, go_backwards=kind == "reversed", **options))
            else:
                layers.append(self.bidirectional(size, units, kind, **options))
            size = layers[-1].n_units
        if not recurrent or layers[-1].return_sequences:
            layers.append(Flatten())
            size *= n_timesteps
        for activation in dense:
            units = int(self.rng.integers(1, 4))
            layers.append(self.dense(size, units, activation))
            size = units
        layers.append(self.dense(size, 1))
        return Network(layers, n_timesteps, n_features)

    def samples(self, n, network, zeros=0.0):
        X = self.rng.normal(size=(n, network.n_timesteps, network.n_features))
        X[self.rng.random(X.shape) < zeros] = 0.0
        return X


@pytest.fixture(scope="session")
def explain_literally():
    return _explain_literally


@pytest.fixture(scope="session")
def make():
    return Maker
