"""A literal oracle of relevance propagation, and random networks to try it on.

The oracle computes one number at a time from the messages R_i<-j = (part / (z + eps s)) R_j of Bach
et al. (2015) and Arras et al. (2017): relevances are divided and passed, loadings never appear.
"""

import math
from collections import namedtuple

import numpy as np
import pytest

from skdrfm.lrp import (
    GRU,
    LSTM,
    Activation,
    Add,
    AdditiveLSTM,
    Bidirectional,
    Concatenate,
    Dense,
    Flatten,
    LayerNormalization,
    Masking,
    MeanOverTime,
    Network,
    Reshape,
    Scale,
    SimpleRNN,
    Take,
    predict,
    propagate,
)
from skdrfm.lrp._rules import resolve_rules


def sigmoid(z):
    return 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(z) / (1 + math.exp(z))


def softplus(z):
    return max(z, 0.0) + math.log1p(math.exp(-abs(z)))


def elu(z, alpha=1.0):
    return z if z > 0 else alpha * (math.exp(z) - 1)


PHI = {
    "celu": lambda z, alpha=1.0: z if z > 0 else alpha * (math.exp(z / alpha) - 1),
    "elu": elu,
    "gelu": lambda z: z * 0.5 * (1 + math.erf(z / math.sqrt(2))),
    "hard_tanh": lambda z: min(max(z, -1.0), 1.0),
    "leaky_relu": lambda z, alpha=0.2: z if z >= 0 else alpha * z,
    "linear": lambda z: z,
    "mish": lambda z: z * math.tanh(softplus(z)),
    "relu": lambda z: max(z, 0.0),
    "relu6": lambda z, top=6.0: min(max(z, 0.0), top),
    "selu": lambda z: 1.05070098735548 * elu(z, 1.6732632423543772),
    "silu": lambda z: z * sigmoid(z),
    "softsign": lambda z: z / (1 + abs(z)),
    "tanh": math.tanh,
}
GATE = {
    **PHI,
    "exponential": math.exp,
    "hard_sigmoid": lambda z: min(max(z + 3.0, 0.0), 6.0) / 6.0,
    "sigmoid": sigmoid,
    "softplus": softplus,
}

Value = namedtuple("Value", ["array", "mask"])


def affine(x, W, h, U, b, columns):
    """One pre-activation for each of the columns, of an input, a state and a bias."""
    return [
        sum(x[d] * W[d, k] for d in range(len(x))) + sum(h[j] * U[j, k] for j in range(len(h))) + b[k] for k in columns
    ]


def block(layer, number):
    """Columns of one gate."""
    n = layer.n_units
    return range(number * n, (number + 1) * n)


class Oracle:
    def __init__(self):
        self.bias = self.stabilizer = self.state = 0.0

    # -- the rule for one sum -------------------------------------------------------------------

    def eps_for(self, zs):
        """Epsilon for an array given as one list for each step that is not padding."""
        if self.rule.epsilon_mode == "absolute":
            return self.rule.epsilon
        flat = [z for step in zs for z in step]
        return self.rule.epsilon * math.sqrt(sum(z * z for z in flat) / len(flat)) if flat else 0.0

    def messages(self, parts, bias, z, eps, relevance, n_lower):
        """What each part of z gets of its relevance; with a bias factor of 1 no part of it is kept."""
        signed = eps if z >= 0 else -eps
        if z + signed == 0:
            self.stabilizer += relevance
            return [0.0] * len(parts)
        shared = 0.0
        if self.rule.bias_factor:
            shared = (bias + signed) / n_lower
        else:
            self.bias += bias / (z + signed) * relevance
            self.stabilizer += signed / (z + signed) * relevance
        return [(part + shared) / (z + signed) * relevance for part in parts]

    def pass_affine(self, x, W, h, U, b, columns, z, eps, relevance, R_x, R_h, n_lower=None):
        """Messages of the pre-activations of one array to an input and a state."""
        n_lower = n_lower or len(x) + len(h)
        for position, k in enumerate(columns):
            parts = [x[d] * W[d, k] for d in range(len(x))] + [h[j] * U[j, k] for j in range(len(h))]
            sent = self.messages(parts, b[k], z[position], eps, relevance[position], n_lower)
            for d in range(len(x)):
                R_x[d] += sent[d]
            for j in range(len(h)):
                R_h[j] += sent[len(x) + j]

    def pass_products(self, one, two, sums, eps, relevance):
        """Messages of sums of two products each; the shares of stabilizers go to the products of all units."""
        n = len(sums)
        R_one, R_two, spread = [0.0] * n, [0.0] * n, 0.0
        for k in range(n):
            signed = eps if sums[k] >= 0 else -eps
            denominator = sums[k] + signed
            if denominator == 0:
                self.stabilizer += relevance[k]
                continue
            R_one[k] = one[k] / denominator * relevance[k]
            R_two[k] = two[k] / denominator * relevance[k]
            if self.rule.bias_factor:
                spread += signed / denominator * relevance[k] / (2 * n)
            else:
                self.stabilizer += signed / denominator * relevance[k]
        return [r + spread for r in R_one], [r + spread for r in R_two]

    def split(self, z_gate, z_signal, eps, relevance):
        """Relevance of the gate and of the signal of a product."""
        w = 1.0
        if self.rule.name == "lrp-half":
            w = 0.5
        elif self.rule.name in ("lrp-prop", "lrp-abs"):
            g, s = (abs(z_gate), abs(z_signal)) if self.rule.name == "lrp-abs" else (z_gate, z_signal)
            w = 0.5 if g + s == 0 else s / (g + s)
        if z_gate + (eps if z_gate >= 0 else -eps) == 0:
            w = 1.0
        return (1 - w) * relevance, w * relevance

    # -- recurrent cells: one step forward, one step back ---------------------------------------

    def lstm_step(self, layer, x, states):
        h, c = states
        phi, gate = PHI[layer.activation], GATE[layer.recurrent_activation]
        z = {
            name: affine(x, layer.kernel, h, layer.recurrent_kernel, layer.bias, block(layer, number))
            for number, name in enumerate("ifgo")
        }
        i, f, o = ([gate(v) for v in z[name]] for name in "ifo")
        g = [phi(v) for v in z["g"]]
        new_c = [f[k] * c[k] + i[k] * g[k] for k in range(layer.n_units)]
        new_h = [o[k] * phi(new_c[k]) for k in range(layer.n_units)]
        return [new_h, new_c], {**{f"z_{n}": v for n, v in z.items()}, "x": x, "h": h, "c": c, "new_c": new_c} | {
            "f*c": [f[k] * c[k] for k in range(layer.n_units)],
            "i*g": [i[k] * g[k] for k in range(layer.n_units)],
            "f": f,
        }

    def lstm_back(self, layer, step, eps, relevances):
        R_h, R_c = relevances
        n = layer.n_units
        R_z = {name: [0.0] * n for name in "ifgo"}
        R_c = list(R_c)
        for k in range(n):
            R_z["o"][k], signal = self.split(step["z_o"][k], step["new_c"][k], eps["z_o"], R_h[k])
            R_c[k] += signal
        R_fc, R_ig = self.pass_products(step["f*c"], step["i*g"], step["new_c"], eps["new_c"], R_c)
        below_c = [0.0] * n
        for k in range(n):
            R_z["f"][k], below_c[k] = self.split(step["z_f"][k], step["c"][k], eps["z_f"], R_fc[k])
            R_z["i"][k], R_z["g"][k] = self.split(step["z_i"][k], step["z_g"][k], eps["z_i"], R_ig[k])
        R_x, below_h = [0.0] * layer.n_inputs, [0.0] * n
        for number, name in enumerate("ifgo"):
            z = step[f"z_{name}"]
            weights = (layer.kernel, step["h"], layer.recurrent_kernel, layer.bias, block(layer, number))
            self.pass_affine(step["x"], *weights, z, eps[f"z_{name}"], R_z[name], R_x, below_h)
        return R_x, [below_h, below_c]

    def lstm_closed_form(self, layer, steps, eps, entering, R_final_c):
        """Relevance along the memory alone: i g (f_s+1 ... f_t) u for each entry at t and each step s <= t."""
        n = layer.n_units
        R_g = [[0.0] * n for _ in steps]
        below_c = [0.0] * n
        for t, step in enumerate(steps):
            for k in range(n):
                c = step["new_c"][k]
                signed = eps["new_c"] if c >= 0 else -eps["new_c"]
                u = 0.0
                if c + signed == 0:
                    self.stabilizer += entering[t][k]
                else:
                    u = entering[t][k] / (c + signed)
                    self.stabilizer += signed * u
                if t == len(steps) - 1 and c != 0:
                    u += R_final_c[k] / c  # belongs to the memory already
                kept = 1.0
                for s in range(t, -1, -1):
                    R_g[s][k] += steps[s]["i*g"][k] * kept * u
                    kept *= steps[s]["f"][k] if self.rule.name == "arras-decay" else 1.0
                below_c[k] += steps[0]["c"][k] * kept * u
        R_x = [[0.0] * layer.n_inputs for _ in steps]
        for t, step in enumerate(steps):
            lost = [0.0] * n
            weights = (layer.kernel, step["h"], layer.recurrent_kernel, layer.bias, block(layer, 2))
            self.pass_affine(step["x"], *weights, step["z_g"], eps["z_g"], R_g[t], R_x[t], lost)
        return R_x, [[0.0] * n, below_c if steps else list(R_final_c)]

    def gru_step(self, layer, x, states):
        (h,) = states
        n = layer.n_units
        phi, gate = PHI[layer.activation], GATE[layer.recurrent_activation]
        W, U = layer.kernel, layer.recurrent_kernel
        b, b_r = (layer.bias[0], layer.bias[1]) if layer.reset_after else (layer.bias, 0 * layer.bias)
        z_z = affine(x, W, h, U, b + b_r, block(layer, 0))
        z_r = affine(x, W, h, U, b + b_r, block(layer, 1))
        z, r = [gate(v) for v in z_z], [gate(v) for v in z_r]
        if layer.reset_after:
            q = affine([], W, h, U, b_r, block(layer, 2))
            inner = affine(x, W, [], U, b, block(layer, 2))
            z_n = [inner[k] + r[k] * q[k] for k in range(n)]
        else:
            q = None
            z_n = affine(x, W, [r[j] * h[j] for j in range(n)], U, b, block(layer, 2))
        new_h = [z[k] * h[k] + (1 - z[k]) * phi(z_n[k]) for k in range(n)]
        return [new_h], {"x": x, "h": h, "z_z": z_z, "z_r": z_r, "z_n": z_n, "r": r, "q": q, "new_h": new_h} | {
            "z*h": [z[k] * h[k] for k in range(n)],
            "(1-z)*n": [(1 - z[k]) * phi(z_n[k]) for k in range(n)],
        }

    def gru_back(self, layer, step, eps, relevances):
        (R_h,) = relevances
        n, n_in = layer.n_units, layer.n_inputs
        x, h, r, q = step["x"], step["h"], step["r"], step["q"]
        W, U = layer.kernel, layer.recurrent_kernel
        b, b_r = (layer.bias[0], layer.bias[1]) if layer.reset_after else (layer.bias, 0 * layer.bias)
        R_x, below = [0.0] * n_in, [0.0] * n
        R_zz, R_zr, R_zn = [0.0] * n, [0.0] * n, [0.0] * n
        R_zh, R_1zn = self.pass_products(step["z*h"], step["(1-z)*n"], step["new_h"], eps["new_h"], R_h)
        for k in range(n):
            gate, signal = self.split(step["z_z"][k], h[k], eps["z_z"], R_zh[k])
            R_zz[k] += gate
            below[k] += signal
            gate, R_zn[k] = self.split(-step["z_z"][k], step["z_n"][k], eps["z_z"], R_1zn[k])
            R_zz[k] += gate
        shared = 0.0  # biases and stabilizers of the candidates, handed down with a bias factor of 1
        R_reset = [0.0] * n  # of the products r h without reset_after
        for k in range(n):
            column = 2 * n + k
            z = step["z_n"][k]
            signed = eps["z_n"] if z >= 0 else -eps["z_n"]
            if z + signed == 0:
                self.stabilizer += R_zn[k]
                continue
            message = R_zn[k] / (z + signed)
            for d in range(n_in):
                R_x[d] += x[d] * W[d, column] * message
            bias = b[column]
            if layer.reset_after:
                gate, signal = self.split(step["z_r"][k], q[k], eps["z_r"], 1.0)
                R_zr[k] += gate * r[k] * q[k] * message
                for j in range(n):
                    below[j] += signal * r[k] * h[j] * U[j, column] * message
                bias = bias + signal * r[k] * b_r[column]
            else:
                for j in range(n):
                    R_reset[j] += r[j] * h[j] * U[j, column] * message
            if self.rule.bias_factor:
                shared += (bias + signed) * message / (n_in + n)
            else:
                self.bias += bias * message
                self.stabilizer += signed * message
        for j in range(n):
            if not layer.reset_after:
                gate, signal = self.split(step["z_r"][j], h[j], eps["z_r"], R_reset[j])
                R_zr[j] += gate
                below[j] += signal
            below[j] += shared
        for d in range(n_in):
            R_x[d] += shared
        for number, (z, name, relevance) in enumerate(((step["z_z"], "z_z", R_zz), (step["z_r"], "z_r", R_zr))):
            self.pass_affine(x, W, h, U, b + b_r, block(layer, number), z, eps[name], relevance, R_x, below)
        return R_x, [below]

    def simplernn_step(self, layer, x, states):
        (h,) = states
        z = affine(x, layer.kernel, h, layer.recurrent_kernel, layer.bias, block(layer, 0))
        return [[PHI[layer.activation](v) for v in z]], {"x": x, "h": h, "z_h": z}

    def simplernn_back(self, layer, step, eps, relevances):
        R_x, below = [0.0] * layer.n_inputs, [0.0] * layer.n_units
        weights = (layer.kernel, step["h"], layer.recurrent_kernel, layer.bias, block(layer, 0))
        self.pass_affine(step["x"], *weights, step["z_h"], eps["z_h"], relevances[0], R_x, below)
        return R_x, [below]

    def additivelstm_step(self, layer, x, states):
        (c,) = states
        columns = block(layer, 0)
        z_i = affine([], layer.kernel, c, layer.recurrent_kernel, layer.bias, columns)
        z_g = affine(x, layer.kernel, [], layer.recurrent_kernel, 0 * layer.bias, columns)
        ig = [GATE[layer.recurrent_activation](z_i[k]) * PHI[layer.activation](z_g[k]) for k in columns]
        new_c = [c[k] + ig[k] for k in columns]
        return [new_c], {"x": x, "h": c, "z_i": z_i, "z_g": z_g, "i*g": ig, "sum": new_c}

    def additivelstm_back(self, layer, step, eps, relevances):
        n = layer.n_units
        R_x, below, below_moved = [0.0] * layer.n_inputs, [0.0] * n, [0.0] * n
        R_zi, R_zg = [0.0] * n, [0.0] * n
        for k in range(n):
            # The sum has no stabilizer, so that the total over the steps is exact.
            # Relevance of a mean belongs to no value: the two terms get half of it each.
            c, R_c, moved = step["sum"][k], relevances[0][k], relevances[1][k] / 2
            below[k] = 0.0 if c == 0 else step["h"][k] / c * R_c
            R_ig = moved + (0.0 if c == 0 else step["i*g"][k] / c * R_c)
            below_moved[k] = moved
            R_zi[k], R_zg[k] = self.split(step["z_i"][k], step["z_g"][k], eps["z_i"], R_ig)
        U, b, columns = layer.recurrent_kernel, layer.bias, block(layer, 0)
        self.pass_affine([], layer.kernel, step["h"], U, b, columns, step["z_i"], eps["z_i"], R_zi, R_x, below)
        nothing = 0 * layer.bias
        self.pass_affine(step["x"], layer.kernel, [], U, nothing, columns, step["z_g"], eps["z_g"], R_zg, R_x, below)
        return R_x, [below, below_moved]

    # -- recurrent layers -----------------------------------------------------------------------

    def recurrent(self, layer, x, mask, states):
        """Outputs in the order of reading, final states, and what the way back needs."""
        order = range(len(x))[::-1] if layer.go_backwards else range(len(x))
        given = bool(states)
        states = [list(s) for s in states] or [[0.0] * layer.n_units for _ in range(layer.n_states)]
        step_forward = getattr(self, f"{layer.kind.lower()}_step")
        outputs, steps = [], []
        for t in order:
            live = mask is None or mask[t]
            record = None
            if live:
                states, record = step_forward(layer, x[t], states)
            steps.append(record)
            shown = live if layer.zero_output_for_mask else any(s is not None for s in steps)
            outputs.append(list(states[0]) if shown else [0.0] * layer.n_units)
        return outputs, states, {"order": order, "steps": steps, "given": given}

    def recurrent_back(self, layer, trace, R_outputs, R_final):
        """Relevance of the input, in time order, and of the initial states."""
        steps, n = trace["steps"], layer.n_units
        live = [step for step in steps if step is not None]
        eps = {}
        for name in ("z_i", "z_f", "z_g", "z_o", "new_c", "z_z", "z_r", "z_n", "new_h", "z_h"):
            if live and name in live[0]:
                eps[name] = self.eps_for([step[name] for step in live])
        R_out = [list(row) for row in R_outputs]
        if layer.return_sequences and self.rule.sequence != "full":
            mean = [sum(row[k] for row in R_out) / len(R_out) for k in range(n)]
            last = R_out[-1] if self.rule.sequence == "last" else mean
            R_out = [[0.0] * n for _ in R_out[:-1]] + [last]
        R_states = [list(r) for r in R_final]
        if layer.kind == "AdditiveLSTM":
            R_states.append([0.0] * n)
            if layer.return_sequences and self.rule.sequence == "mean":
                R_states[1], R_out = mean, [[0.0] * n for _ in R_out]
        R_x = [None] * len(steps)
        if self.rule.name in ("arras-decay", "rudder") and layer.kind == "LSTM":
            entering, waiting = [], [0.0] * n
            for t in range(len(steps) - 1, -1, -1):
                waiting = [
                    waiting[k] + R_out[t][k] + (R_states[0][k] if t == len(steps) - 1 else 0.0) for k in range(n)
                ]
                if steps[t] is not None:
                    entering.insert(0, waiting)
                    waiting = [0.0] * n
            swept, R_states = self.lstm_closed_form(layer, live, eps, entering, R_states[1])
            R_states[0] = waiting
            for t, step in zip(trace["order"], steps, strict=True):
                R_x[t] = [0.0] * layer.n_inputs if step is None else swept.pop(0)
        else:
            back = getattr(self, f"{layer.kind.lower()}_back")
            for t in range(len(steps) - 1, -1, -1):
                R_states[0] = [R_states[0][k] + R_out[t][k] for k in range(n)]
                R_x[trace["order"][t]] = [0.0] * layer.n_inputs
                if steps[t] is not None:
                    R_x[trace["order"][t]], R_states = back(layer, steps[t], eps, R_states)
        if layer.kind == "AdditiveLSTM":
            R_states = [[p + q for p, q in zip(*R_states, strict=True)]]
        if not trace["given"]:
            self.state += sum(sum(r) for r in R_states)
        return R_x, R_states

    def run_recurrent(self, layer, inputs):
        (x, mask), *states = inputs
        outputs, final, trace = self.recurrent(layer, x.tolist(), mask, [s.array for s in states])
        out = np.array(outputs if layer.return_sequences else outputs[-1])
        kept = mask if layer.return_sequences else None
        return [Value(out, kept)] + [Value(np.array(s), None) for s in final] * layer.return_state, trace

    def back_recurrent(self, layer, inputs, outputs, trace, R):
        R_outputs = self._per_step(layer, R[0], len(trace["steps"]))
        R_final = R[1:] or [np.zeros(layer.n_units)] * layer.n_states
        R_x, R_states = self.recurrent_back(layer, trace, R_outputs, R_final)
        return [np.array(R_x), *[np.array(r) for r in R_states]]

    @staticmethod
    def _per_step(layer, R, n_steps):
        if layer.return_sequences:
            return R.tolist()
        return [[0.0] * layer.n_units for _ in range(n_steps - 1)] + [R.tolist()]

    def run_bidirectional(self, layer, inputs):
        (x, mask), *states = inputs
        half, results = len(states) // 2, []
        for one, own in ((layer.forward, states[:half]), (layer.backward, states[half:])):
            results.append(self.recurrent(one, x.tolist(), mask, [s.array for s in own]))
        outputs = [np.array(r[0] if layer.return_sequences else r[0][-1]) for r in results]
        if layer.return_sequences:
            outputs[1] = outputs[1][::-1]
        if layer.merge_mode == "concat":
            merged = np.concatenate(outputs, axis=-1)
        else:
            merged = (outputs[0] + outputs[1]) * (0.5 if layer.merge_mode == "ave" else 1)
        final = [Value(np.array(s), None) for r in results for s in r[1]] * layer.forward.return_state
        return [Value(merged, mask if layer.return_sequences else None), *final], (outputs, [r[2] for r in results])

    def back_bidirectional(self, layer, inputs, outputs, trace, R):
        own, traces = trace
        n = layer.forward.n_units
        if layer.merge_mode == "concat":
            parts = [R[0][..., :n], R[0][..., n:]]
        else:
            total = own[0] + own[1]
            parts = [np.divide(o, total, out=np.zeros_like(o), where=total != 0) * R[0] for o in own]
        if layer.return_sequences:
            parts[1] = parts[1][::-1]
        R_final = R[1:] or [np.zeros(n)] * (2 * layer.forward.n_states)
        half = layer.forward.n_states
        R_x, below = np.zeros_like(inputs[0].array), []
        for number, one in enumerate((layer.forward, layer.backward)):
            R_outputs = self._per_step(one, parts[number], len(R_x))
            ours, R_states = self.recurrent_back(one, traces[number], R_outputs, R_final[number * half :][:half])
            R_x = R_x + np.array(ours)
            below.extend(np.array(r) for r in R_states)
        return [R_x, *below]

    # -- layers without memory ------------------------------------------------------------------

    def run_dense(self, layer, inputs):
        ((x, mask),) = inputs
        columns = range(layer.kernel.shape[1])
        zs = [affine(row, layer.kernel, [], None, layer.bias, columns) for row in np.atleast_2d(x).tolist()]
        out = np.array([[PHI[layer.activation](z) for z in row] for row in zs])
        return [Value(out.reshape(*x.shape[:-1], -1), mask)], zs

    def back_dense(self, layer, inputs, outputs, zs, R):
        ((x, mask),) = inputs
        rows, R_rows = np.atleast_2d(x).tolist(), np.atleast_2d(R[0]).tolist()
        eps = self.eps_for([z for t, z in enumerate(zs) if mask is None or mask[t]])
        R_x = [[0.0] * len(rows[0]) for _ in rows]
        for t, row in enumerate(rows):
            columns = range(len(zs[t]))
            self.pass_affine(row, layer.kernel, [], None, layer.bias, columns, zs[t], eps, R_rows[t], R_x[t], [])
        return [np.array(R_x).reshape(x.shape)]

    def run_activation(self, layer, inputs):
        ((x, mask),) = inputs
        extra = () if layer.parameter is None else (layer.parameter,)
        return [Value(np.vectorize(lambda z: PHI[layer.activation](z, *extra), otypes=[float])(x), mask)], None

    def back_activation(self, layer, inputs, outputs, trace, R):
        return [R[0]]

    def run_identity(self, layer, inputs):
        return inputs, None

    def back_identity(self, layer, inputs, outputs, trace, R):
        return [R[0]]

    def run_masking(self, layer, inputs):
        ((x, _),) = inputs
        mask = [any(v != layer.mask_value for v in row) for row in x]
        return [Value(np.array([row * live for row, live in zip(x, mask, strict=True)]), mask)], mask

    def back_masking(self, layer, inputs, outputs, mask, R):
        return [R[0]]

    def _back_linear(self, x, matrix, shift, R):
        """Messages of sums without a stabilizer; a bias factor of 1 hands a bias to the unit of the same place."""
        R_x = [0.0] * len(x)
        for j in range(len(shift)):
            parts = [x[i] * matrix[i, j] for i in range(len(x))]
            z = sum(parts) + shift[j]
            if z == 0:
                continue
            for i, part in enumerate(parts):
                R_x[i] += part / z * R[j]
            if self.rule.bias_factor:
                R_x[j] += shift[j] / z * R[j]
            else:
                self.bias += shift[j] / z * R[j]
        return R_x

    def run_scale(self, layer, inputs):
        ((x, mask),) = inputs
        return [Value(x * layer.scale + layer.shift, mask)], None

    def back_scale(self, layer, inputs, outputs, trace, R):
        x = inputs[0].array
        rows = zip(np.atleast_2d(x), np.atleast_2d(R[0]), strict=True)
        return [
            np.array([self._back_linear(a, np.diag(layer.scale), layer.shift, r) for a, r in rows]).reshape(x.shape)
        ]

    def run_layernormalization(self, layer, inputs):
        ((x, mask),) = inputs
        std = np.sqrt(((x - x.mean(-1, keepdims=True)) ** 2).mean(-1, keepdims=True) + layer.epsilon)
        return [Value((x - x.mean(-1, keepdims=True)) / std * layer.scale + layer.shift, mask)], np.atleast_1d(
            std.squeeze()
        )

    def back_layernormalization(self, layer, inputs, outputs, std, R):
        x, n = inputs[0].array, len(layer.scale)
        rows = zip(np.atleast_2d(x), std, np.atleast_2d(R[0]), strict=True)
        centred = (np.eye(n) - 1 / n) * layer.scale
        return [np.array([self._back_linear(a, centred / s, layer.shift, r) for a, s, r in rows]).reshape(x.shape)]

    def run_flatten(self, layer, inputs):
        return [Value(inputs[0].array.reshape(-1), None)], None

    def back_flatten(self, layer, inputs, outputs, trace, R):
        return [R[0].reshape(inputs[0].array.shape)]

    def run_reshape(self, layer, inputs):
        return [Value(inputs[0].array.reshape(layer.shape), None)], None

    back_reshape = back_flatten

    def run_take(self, layer, inputs):
        return [Value(inputs[0].array[layer.key], None)], None

    def back_take(self, layer, inputs, outputs, trace, R):
        R_x = np.zeros_like(inputs[0].array)
        R_x[layer.key] = R[0]
        return [R_x]

    def run_meanovertime(self, layer, inputs):
        ((x, mask),) = inputs
        rows = [row for t, row in enumerate(x) if mask is None or mask[t]]
        mean = sum(rows) / len(rows) if rows else np.zeros(x.shape[1])
        return [Value(mean[np.newaxis] if layer.keepdims else mean, None)], rows

    run_globalaveragepooling1d = run_meanovertime

    def back_meanovertime(self, layer, inputs, outputs, rows, R):
        ((x, mask),) = inputs
        R_x, mean, R = np.zeros_like(x), outputs[0].array.reshape(-1), R[0].reshape(-1)
        for t in range(len(x)):
            for k in range(len(mean)):
                if (mask is None or mask[t]) and mean[k] != 0:
                    R_x[t, k] = x[t, k] / len(rows) / mean[k] * R[k]
        return [R_x]

    back_globalaveragepooling1d = back_meanovertime

    def run_add(self, layer, inputs):
        weights = layer.weights or [1.0] * len(inputs)
        return [Value(sum(w * v.array for w, v in zip(weights, inputs, strict=True)), None)], weights

    def back_add(self, layer, inputs, outputs, weights, R):
        total = outputs[0].array
        quotient = np.divide(R[0], total, out=np.zeros_like(total), where=total != 0)
        return [w * v.array * quotient for w, v in zip(weights, inputs, strict=True)]

    def run_concatenate(self, layer, inputs):
        return [Value(np.concatenate([v.array for v in inputs], axis=layer.axis), None)], None

    def back_concatenate(self, layer, inputs, outputs, trace, R):
        ends = np.cumsum([v.array.shape[layer.axis] for v in inputs])[:-1]
        return np.split(R[0], ends, axis=layer.axis)

    # -- a network ------------------------------------------------------------------------------

    def explain(self, network, rules, sample):
        values = {(-1, 0): Value(np.array(sample, dtype=float), None)}
        traces = []

        def method(way, layer):
            kind = "recurrent" if hasattr(layer, "recurrent_kernel") else type(layer).__name__.lower()
            return getattr(self, f"{way}_{kind}")

        for position, layer in enumerate(network.layers):
            inputs = [values[source] for source in network.sources[position]]
            outputs, trace = method("run", layer)(layer, inputs)
            traces.append((inputs, outputs, trace))
            for number, value in enumerate(outputs):
                values[position, number] = value
        prediction = outputs[0].array.item()
        R = {source: np.zeros_like(value.array) for source, value in values.items()}
        R[position, 0] = outputs[0].array
        for position in range(len(network.layers) - 1, -1, -1):
            layer, self.rule = network.layers[position], rules[position]
            inputs, outputs, trace = traces[position]
            arrived = [R[position, number] for number in range(len(outputs))]
            below = method("back", layer)(layer, inputs, outputs, trace, arrived)
            for source, part in zip(network.sources[position], below, strict=False):
                R[source] = R[source] + part
        return prediction, R[-1, 0], self.bias, self.stabilizer, self.state


Literal = namedtuple("Literal", ["predictions", "values", "bias", "stabilizer", "state"])


def _explain_literally(network, X, rule="lrp-all", **options):
    """Predictions, relevances, and the parts that biases, stabilizers and initial states keep, of every sample."""
    rules = resolve_rules(rule, network.layers, **options)
    results = [Oracle().explain(network, rules, sample) for sample in X]
    return Literal(*(np.array(part) for part in zip(*results, strict=True)))


def values_of(found, X):
    """Relevance of each input."""
    values = X * found.loadings
    return values if found.offsets is None else values + found.offsets


def _check_against_the_oracle(network, X, rule="lrp-all", tolerance=1e-10, **options):
    """Compare all parts of an explanation, relative to the sum of all absolute relevances of the sample."""
    found = propagate(network, X, rule=rule, **options)
    literal = _explain_literally(network, X, rule, **options)
    size = np.abs(literal.predictions) + np.abs(literal.values).sum((1, 2))
    for part in literal[2:]:
        size = size + np.abs(part)
    size += 1e-290
    for name, ours in (
        ("predictions", found.predictions),
        ("values", values_of(found, X)),
        ("bias", found.bias),
        ("stabilizer", found.stabilizer),
        ("state", found.state),
    ):
        theirs = getattr(literal, name)
        gap = np.abs(ours - theirs).reshape(len(X), -1).max(axis=1)
        assert (gap <= tolerance * size).all(), f"{name} of {network}, {rule}, {options}: {gap / size}"
    np.testing.assert_allclose(found.predictions, predict(network, X), rtol=1e-12, atol=1e-300)
    return found


def _residual(found, X):
    """What the prediction has beyond its parts, relative to the size of all of them."""
    values = values_of(found, X)
    kept = [found.bias, found.stabilizer, found.state]
    gap = found.predictions - values.sum((1, 2)) - sum(kept)
    size = np.abs(found.predictions) + np.abs(values).sum((1, 2)) + sum(np.abs(part) for part in kept)
    return np.abs(gap) / np.maximum(size, 1e-290)


CELLS = ("lstm", "gru", "gru-before", "rnn", "additive")
DIRECTIONS = ("forward", "reversed", "concat", "sum", "ave")


class Maker:
    """Random layers and networks from one generator."""

    cells = CELLS
    directions = DIRECTIONS

    def __init__(self, seed, *, biases=True, gate_bias=1.0):
        self.rng = np.random.default_rng(seed)
        self.biases = biases
        self.gate_bias = gate_bias

    def _bias(self, *shape):
        return self.rng.normal(size=shape) * self.biases

    def dense(self, n_in, n_units, activation="linear", **options):
        kernel = self.rng.normal(size=(n_in, n_units)) / np.sqrt(n_in)
        return Dense(kernel, self._bias(n_units), activation, **options)

    def lstm(self, n_in, n_units, **options):
        return self.cell("lstm", n_in, n_units, **options)

    def cell(self, kind, n_in, n_units, **options):
        """A recurrent layer; biases of gates are larger by the factor gate_bias, to saturate them."""
        blocks = {"lstm": 4, "gru": 3, "gru-before": 3, "rnn": 1, "additive": 1}[kind]
        kernel = self.rng.normal(size=(n_in, blocks * n_units)) * 0.7
        recurrent = self.rng.normal(size=(n_units, blocks * n_units)) * 0.7
        bias = self._bias(*((2, 3 * n_units) if kind == "gru" else (blocks * n_units,)))
        if kind != "rnn":
            candidate = {"lstm": 2, "gru": 2, "gru-before": 2, "additive": -1}[kind]
            factor = np.repeat([1.0 if k == candidate else self.gate_bias for k in range(blocks)], n_units)
            bias = bias * factor
        if kind == "rnn":
            options.pop("recurrent_activation", None)
            return SimpleRNN(kernel, recurrent, bias, **options)
        if kind == "gru-before":
            return GRU(kernel, recurrent, bias, reset_after=False, **options)
        return {"lstm": LSTM, "gru": GRU, "additive": AdditiveLSTM}[kind](kernel, recurrent, bias, **options)

    def bidirectional(self, n_in, n_units, merge_mode="concat", kind="lstm", **options):
        one, two = self.cell(kind, n_in, n_units, **options), self.cell(kind, n_in, n_units, **options)
        return Bidirectional(one, two, merge_mode)

    def recurrent(self, kind, n_in, n_units, **options):
        """A layer like "lstm", "gru/reversed" or "rnn/concat"; a direction alone is that of an LSTM."""
        cell, _, direction = kind.partition("/")
        if cell in DIRECTIONS:
            cell, direction = "lstm", cell
        if direction in ("", "forward", "reversed"):
            return self.cell(cell, n_in, n_units, go_backwards=direction == "reversed", **options)
        return self.bidirectional(n_in, n_units, direction, cell, **options)

    def network(self, n_timesteps, n_features, recurrent=(), dense=(), options=None, below=(), bridge="flatten"):
        """Layers below ("mask", "scale", "norm", a dense activation), recurrent layers, a bridge, a dense head."""
        layers, size = [], n_features
        for kind in below:
            layers.append(self.below(kind, size))
            size = getattr(layers[-1], "n_units", size)
        for position, kind in enumerate(recurrent):
            own = {"return_sequences": position < len(recurrent) - 1, **(options or {})}
            layers.append(self.recurrent(kind, size, int(self.rng.integers(1, 4)), **own))
            size = layers[-1].n_units
        if not recurrent or layers[-1].return_sequences:
            bridges = {"flatten": Flatten(), "last": Take((-1,)), "mean": MeanOverTime()}
            layers.append(bridges[bridge])
            size *= n_timesteps if bridge == "flatten" else 1
        for activation in dense:
            units = int(self.rng.integers(1, 4))
            layers.append(self.dense(size, units, activation))
            size = units
        layers.append(self.dense(size, 1))
        return Network(layers, n_timesteps, n_features)

    def below(self, kind, size):
        if kind == "mask":
            return Masking()
        if kind in ("scale", "norm"):
            record = Scale if kind == "scale" else LayerNormalization
            return record(self.rng.normal(size=size), self._bias(size))
        if kind.startswith("activation"):
            return Activation(kind.partition("/")[2])
        return self.dense(size, int(self.rng.integers(1, 4)), kind)

    def graph(self, name):
        """A network that is no chain, for samples of 3 steps of 2 descriptors."""
        return Network(*getattr(self, f"_graph_{name}")())

    def _graph_branches(self):
        layers = [self.lstm(2, 2), self.cell("gru", 2, 1), Concatenate(), self.dense(3, 2, "tanh"), self.dense(2, 1)]
        return layers, 3, 2, [(-1,), (-1,), (0, 1), (2,), (3,)]

    def _graph_shared(self):
        scale, shared = self.below("scale", 2), self.lstm(2, 2, name="shared")
        layers = [scale, shared, shared, Concatenate(), self.dense(4, 1, "elu")]
        return layers, 3, 2, [(-1,), (-1,), (0,), (1, 2), (3,)]

    def _graph_states(self):
        encoder = self.lstm(2, 2, return_state=True, go_backwards=True)
        decoder = self.lstm(2, 2, return_sequences=True)
        layers = [Take((slice(0, 2),)), encoder, decoder, Flatten(), self.dense(6, 1)]
        return layers, 3, 2, [(-1,), (0,), (-1, (1, 1), (1, 2)), (2,), (3,)]

    def _graph_gru_states(self):
        encoder, decoder = self.cell("gru", 2, 2, return_state=True), self.cell("gru-before", 2, 2)
        layers = [encoder, decoder, Concatenate(), self.dense(4, 2, "tanh"), self.dense(2, 1)]
        return layers, 3, 2, [(-1,), (-1, (0, 1)), ((0, 0), 1), (2,), (3,)]

    def _graph_two_way_states(self):
        encoder = self.bidirectional(2, 1, "concat", "lstm", return_state=True, return_sequences=True)
        decoder = self.bidirectional(2, 1, "concat", "lstm")
        layers = [encoder, decoder, self.dense(2, 1)]
        return layers, 3, 2, [(-1,), (0, (0, 1), (0, 2), (0, 3), (0, 4)), (1,)]

    def _graph_residual(self):
        tops = [Add((1.0, -0.5)), self.cell("gru", 2, 2, return_sequences=True), MeanOverTime(), self.dense(2, 1)]
        return [self.dense(2, 2, "relu"), *tops], 3, 2, [(-1,), (-1, 0), (1,), (2,), (3,)]

    def _graph_longer(self):
        layers = [self.dense(2, 2, "tanh"), Concatenate(axis=0), self.cell("rnn", 2, 2), self.dense(2, 1)]
        return layers, 3, 2, [(-1,), (-1, 0), (1,), (2,)]

    def _graph_reshaped(self):
        layers = [Flatten(), self.dense(6, 4, "leaky_relu"), Reshape((2, 2)), self.cell("rnn", 2, 2), self.dense(2, 1)]
        return layers, 3, 2

    def _graph_skip(self):
        layers = [self.cell("additive", 2, 2), Take((-1,)), Concatenate(), self.below("norm", 4), self.dense(4, 1)]
        return layers, 3, 2, [(-1,), (-1,), (0, 1), (2,), (3,)]

    def _graph_unread(self):
        layers = [self.lstm(2, 2), self.lstm(2, 3), self.dense(2, 1)]
        return layers, 3, 2, [(-1,), (-1,), (0,)]

    graphs = (
        "branches",
        "shared",
        "states",
        "gru_states",
        "two_way_states",
        "residual",
        "longer",
        "reshaped",
        "skip",
        "unread",
    )

    def samples(self, n, network, zeros=0.0, kind="normal"):
        """Random samples: "normal", "constant", "zero", "large", or with "padding" before and after."""
        X = self.rng.normal(size=(n, network.n_timesteps, network.n_features))
        X[self.rng.random(X.shape) < zeros] = 0.0
        if kind == "constant":
            X[:] = X[:, :1, :1]
        elif kind == "zero":
            X[:] = 0.0
        elif kind == "large":
            X *= 100.0
        elif kind == "padding":
            X[self.rng.random(X.shape[:2]) < 0.4] = 0.0
        return X


@pytest.fixture(scope="session")
def explain_literally():
    return _explain_literally


@pytest.fixture(scope="session")
def check_against_the_oracle():
    return _check_against_the_oracle


@pytest.fixture(scope="session")
def residual():
    return _residual


@pytest.fixture(scope="session")
def relevance_of():
    return values_of


@pytest.fixture(scope="session")
def make():
    return Maker
