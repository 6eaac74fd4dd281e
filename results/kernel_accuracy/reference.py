"""Reference values of NNGP and tangent kernels of deep networks, for `cargo run --release -p widthwise-theory --example kernel_accuracy`.

    python3 reference.py [--full] > golden.csv

Closed forms: the recursion of (a, c, b) with 60 digits of mpmath, 700 where scales meet. tanh, sigmoid, silu, softplus: two-dimensional trapezoid rule in 80-bit
numbers over m = (u + v)/2 and e = (u - v)/2 and their three moments, so that phi(m + e) -+ phi(m - e) are written without cancellation.
Neither is how the program computes. Inputs are the numbers written; the reference takes them as exact.

A row: activation, sigma_w2, sigma_b2, depth, three features of x, three of y, K(x,x), K(x,y), K(y,y), Theta(x,x), Theta(x,y), Theta(y,y), and the
condition: the change of K(x,y)/sqrt(K(x,x) K(y,y)) per relative change of the second feature of y.
"""
import sys
import numpy as np
import mpmath as mp

mp.mp.dps = 60
L = np.longdouble
FULL = "--full" in sys.argv
ONLY = [a for a in sys.argv[1:] if not a.startswith("--")]

# ---- closed forms: name -> function of (a, c, b) giving V, Vd


def leaky(s):
    def f(a, c, b):
        d = mp.sqrt(max(a * b - c * c, mp.mpf(0)))
        theta = mp.atan2(d, c)
        g = (1 - s) ** 2 / (2 * mp.pi)
        m = (1 + s * s) / 2 - g * theta
        return g * d + m * c, m
    return f


def erf(a, c, b):
    q = mp.sqrt(1 + 2 * a + 2 * b + 4 * (a * b - c * c))
    return 2 / mp.pi * mp.atan2(2 * c, q), 4 / (mp.pi * q)


def gauss(a, c, b):
    q = mp.sqrt(1 + 2 * a + 2 * b + 4 * (a * b - c * c))
    return 1 / q, 4 * c / q**3


def gelu(a, c, b):
    p = (1 + a) * (1 + b)
    s = mp.sqrt(p - c * c)
    t = mp.atan2(c, s)
    v = c / 4 + (c * t + (c * c + a * b * s * s) / (p * s)) / (2 * mp.pi)
    return v, mp.mpf(1) / 4 + t / (2 * mp.pi) + c / (2 * mp.pi * s) * (1 / s**2 + (1 - a * b) / p + 1)


def wave(w, p):
    w, p = mp.mpf(w), mp.mpf(p)

    def f(a, c, b):
        m = (a + b) / 2
        e1 = mp.exp(w * w * (c - m))
        e2 = mp.cos(2 * p) * mp.exp(-w * w * (c + m))
        return (e1 - e2) / 2, w * w * (e1 + e2) / 2
    return f


def rbf(g):
    def f(a, c, b):
        v = mp.exp(-g * (a + b - 2 * c))
        return v, 2 * g * v
    return f


def exp(a, c, b):
    v = mp.exp((a + b) / 2 + c)
    return v, v


def sign(a, c, b):
    return 2 / mp.pi * mp.atan2(c, mp.sqrt(max(a * b - c * c, mp.mpf(0)))), mp.mpf(0)


def hermite3(a, c, b):
    return (9 * a * b * c + 6 * c**3 - 9 * c * (a + b) + 9 * c) / 6, 3 * (a * b + 2 * c * c - a - b + 1) / 2


def cubic(a, c, b):
    t = mp.mpf(0.1)
    return c + 3 * t * c * (a + b) + t * t * (9 * a * b * c + 6 * c**3), 1 + 3 * t * (a + b) + 9 * t * t * (a * b + 2 * c * c)


CLOSED = {
    "relu": leaky(mp.mpf(0)), "leaky_relu:0.25": leaky(mp.mpf(0.25)), "abs": leaky(mp.mpf(-1)), "erf": erf, "gelu": gelu,
    "sin:1:0": wave(1, 0), "sin:2:0.25": wave(2, 0.25), "cos:1:0": wave(1, mp.pi / 2), "gaussian": gauss, "exp": exp, "sign": sign,
    "rbf:0.5": rbf(mp.mpf(0.5)), "hermite:3": hermite3, "polynomial:0:1:0:0.1": cubic,
}

# ---- without closed form: phi', and phi(m + e) - phi(m - e), phi(m + e) + phi(m - e)


def sigma(x):
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


def tanh_parts(m, e):
    u, v = m + e, m - e
    # 1/(cosh u cosh v) by exponentials that stay finite.
    s = 4 * np.exp(-np.abs(u) - np.abs(v)) / ((1 + np.exp(-2 * np.abs(u))) * (1 + np.exp(-2 * np.abs(v))))
    big = np.abs(2 * e) > 20
    d = np.where(big, np.tanh(u) - np.tanh(v), np.sinh(np.where(big, 0, 2 * e)) * s)
    big = np.abs(2 * m) > 20
    t = np.where(big, np.tanh(u) + np.tanh(v), np.sinh(np.where(big, 0, 2 * m)) * s)
    return d, t


def sigmoid_parts(m, e):
    d, t = tanh_parts(m / 2, e / 2)
    return d / 2, 1 + t / 2


def silu_parts(m, e):
    d, t = sigmoid_parts(m, e)
    return m * d + e * t, m * t + e * d


def softplus_parts(m, e):
    sp = lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
    small = np.abs(e) < 5
    d = np.where(small, np.log1p(sigma(m - e) * np.expm1(np.where(small, 2 * e, 0))), sp(m + e) - sp(m - e))
    return d, sp(m + e) + sp(m - e)


def tanh_slope(x):
    t = np.exp(-2 * np.abs(x))
    return 4 * t / (1 + t) ** 2


def sigmoid_slope(x):
    return tanh_slope(x / 2) / 4


def silu_slope(x):
    return sigma(x) + x * sigmoid_slope(x)


QUADRATURE = {
    "tanh": (tanh_parts, tanh_slope), "sigmoid": (sigmoid_parts, sigmoid_slope),
    "silu": (silu_parts, silu_slope), "softplus": (softplus_parts, sigma),
}


def planar(parts, slope, mm, me, ee):
    """E[S^2]/4, E[SD]/4, E[D^2]/4, E[phi' phi'] for moments of m and e."""
    box = L(9.6)
    largest = np.sqrt(max(mm, ee))
    # The larger of the two is the outer one; the rest of the other is independent of it.
    swap = ee > mm
    big, small = (ee, mm) if swap else (mm, ee)
    rb = np.sqrt(big)
    k = me / rb if rb > 0 else L(0)
    rest = np.sqrt(max(small - k * k, L(0)))
    # Strip pi/2 of tanh seen from u = m + e.
    step1 = min(L(0.1), L(0.2) / (rb + abs(k)) if rb > 0 else L(1))
    n1 = int(np.ceil(box / step1))
    z1 = step1 * np.arange(-n1, n1 + 1, dtype=L)
    step2 = min(L(0.2), L(0.2) / rest if rest > 0 else L(1))
    n2 = int(np.ceil(box / step2)) if rest > 0 else 0
    z2 = step2 * np.arange(-n2, n2 + 1, dtype=L)
    w1 = np.exp(-z1 * z1 / 2)
    w1 /= w1.sum()
    w2 = np.exp(-z2 * z2 / 2)
    w2 /= w2.sum()
    x = (rb * z1)[:, None] + 0 * z2[None, :]
    y = (k * z1)[:, None] + (rest * z2)[None, :]
    m, e = (y, x) if swap else (x, y)
    w = w1[:, None] * w2[None, :]
    d, s = parts(m, e)
    p = slope(m + e) * slope(m - e)
    return (w * s * s).sum() / 4, (w * s * d).sum() / 4, (w * d * d).sum() / 4, (w * p).sum()


# ---- recursions: lists of (K, Theta) triples by layer

def closed_recursion(f, x, y, w, beta, depths):
    d = len(x)
    x, y, w, beta = [mp.mpf(t) for t in x], [mp.mpf(t) for t in y], mp.mpf(w), mp.mpf(beta)
    dot = lambda s, t: sum(p * q for p, q in zip(s, t)) / d
    k = [dot(x, x), dot(x, y), dot(y, y)]
    k = [w * t + beta for t in k]
    th = list(k)
    out = {}
    for layer in range(1, max(depths) + 1):
        (va, sa), (vc, sc), (vb, sb) = f(k[0], k[0], k[0]), f(*k), f(k[2], k[2], k[2])
        th = [w * v + beta + w * s * t for v, s, t in zip((va, vc, vb), (sa, sc, sb), th)]
        k = [w * v + beta for v in (va, vc, vb)]
        if layer in depths:
            out[layer] = (list(k), list(th))
        if not all(mp.isfinite(t) for t in k) or k[0] > mp.mpf("1e305"):
            break
    return out


def planar_recursion(functions, x, y, w, beta, depths):
    parts, slope = functions
    d = len(x)
    x, y, w, beta = np.array(x, dtype=L), np.array(y, dtype=L), L(w), L(beta)
    m, e = (x + y) / 2, (x - y) / 2
    mm, me, ee = [w * (s * t).sum() / d for s, t in ((m, m), (m, e), (e, e))]
    mm += beta
    # Variances have recursions of their own: as sums of the three moments they cancel where norms differ much.
    ends = [w * (s * s).sum() / d + beta for s in (x, y)]
    kernel = lambda: [ends[0], mm - ee, ends[1]]
    th = kernel()
    out = {}
    for layer in range(1, max(depths) + 1):
        (v_a, _, _, s_a), (v_b, _, _, s_b) = [planar(parts, slope, k, L(0), L(0)) for k in ends]
        mm, me, ee, s_c = planar(parts, slope, mm, me, ee)
        v = [v_a, mm - ee, v_b]
        th = [w * p + beta + w * s * t for p, s, t in zip(v, (s_a, s_c, s_b), th)]
        mm, me, ee = w * mm + beta, w * me, w * ee
        ends = [w * v_a + beta, w * v_b + beta]
        if layer in depths:
            out[layer] = (kernel(), list(th))
    return out


# ---- the grid

def inputs(va, vb, u, sign):
    """Three features each of mean squares va, vb at complement u: a fixed frame, rounded to doubles."""
    f1 = np.array([0.36, -0.8, 0.48])
    f2 = np.array([0.8, 0.5376, 0.296])
    f2 -= f1 * (f1 @ f2)
    f2 /= np.sqrt(f2 @ f2)
    ra, rb = np.sqrt(3 * va), np.sqrt(3 * vb)
    x = ra * f1
    if u == 0:
        y = sign * x * 2.0 ** np.round(np.log2(rb / ra))
    else:
        s = np.sqrt(u * (2 - u))
        y = sign * rb * ((1 - u) * f1 + s * f2)
    return [float(t) for t in x], [float(t) for t in y]


COMPLEMENTS = [0.0, 1e-14, 1e-12, 1e-9, 3e-7, 1e-5, 3e-4, 0.1, 1.0]
SCALES = [(1.0, 1.0), (1.0, 1.0000003), (1.0, 4.0), (1e-6, 1e-6)]
EXTREME = [(1e-300, 1e-300), (1e300, 1e300), (1e-300, 1e300), (1e200, 3e200), (1e-160, 1e-150)]
PLANAR = [(1.0, 1.0), (1.0, 1.0000003), (1.0, 4.0)]
INITS = {
    "relu": [(2, 0), (1, 0), (4, 0), (1, 0.5), (1.9, 0.1)], "leaky_relu:0.25": [(2, 0), (1, 0.5)], "abs": [(1, 0), (0.5, 0.5)],
    "erf": [(1.5, 0), (9, 0), (0.5, 0.1), (4, 0.1)], "gelu": [(2, 0), (4, 0), (1.5, 0.1)], "sin:1:0": [(2, 0), (9, 0), (0.5, 0), (1.5, 0.1)],
    "sin:2:0.25": [(1, 0), (2, 0.1)], "cos:1:0": [(1, 0), (9, 0.1)], "gaussian": [(1, 0), (4, 0.1)], "exp": [(0.05, 0)], "sign": [(1, 0), (1, 0.5), (9, 0)],
    "rbf:0.5": [(1, 0), (4, 0.1)], "hermite:3": [(1, 0)], "polynomial:0:1:0:0.1": [(0.5, 0)],
    "tanh": [(9, 0), (1.5, 0), (0.5, 0.1)], "sigmoid": [(16, 0.1)], "silu": [(2, 0)], "softplus": [(0.5, 0.5)],
}
GROWING = {"exp": 2, "hermite:3": 3, "polynomial:0:1:0:0.1": 10}


def rows():
    for name, inits in INITS.items():
        if ONLY and name not in ONLY:
            continue
        closed = name in CLOSED
        for w, beta in inits:
            for scale in SCALES + EXTREME if closed else PLANAR:
                if name in GROWING and scale[1] > 1e100:
                    continue
                depths = [1, 3, 10, 60] + ([250, 1000] if closed and scale in (SCALES[0], EXTREME[1]) else [])
                depths = [t for t in depths if t <= GROWING.get(name, 1000)]
                if not FULL:
                    depths = [t for t in depths if t in (1, 10, 60, 1000)]
                # A bias on variances of 1e-300 leaves complements of that size, and 1 + 2a + 2b + 4ab adds numbers of both.
                mp.mp.dps = 1300 if name == "gelu" else 60 if scale in SCALES else 700
                for u in COMPLEMENTS if closed or FULL else COMPLEMENTS[::2]:
                    for sign in (1.0, -1.0):
                        if u == 0 and scale[1] / scale[0] in (1.0000003, 3.0):
                            continue
                        x, y = inputs(*scale, u, sign)
                        run = lambda y: (closed_recursion(CLOSED[name], x, y, w, beta, depths) if closed
                                         else planar_recursion(QUADRATURE[name], x, y, w, beta, depths))
                        base = run(y)
                        h = mp.mpf("1e-30") if closed else L(1e-9)
                        moved = [run([t * (1 + h) if i == j else (mp.mpf(t) if closed else L(t)) for j, t in enumerate(y)]) for i in (1,)]
                        for depth, (k, th) in base.items():
                            rho = lambda k: k[1] / (mp.sqrt(k[0] * k[2]) if closed else np.sqrt(k[0] * k[2]))
                            if not (1e-300 < k[0] < 1e300 and 1e-300 < k[2] < 1e300):
                                continue
                            condition = max(abs(rho(t[depth][0]) - rho(k)) / h for t in moved if depth in t)
                            number = (lambda t: mp.nstr(t, 17)) if closed else (lambda t: np.format_float_scientific(t, precision=18))
                            yield [name, w, beta, depth, *map(repr, x), *map(repr, y), *map(number, k), *map(number, th), f"{float(condition):.1e}"]


if __name__ == "__main__":
    print("activation,sigma_w2,sigma_b2,depth,x0,x1,x2,y0,y1,y2,k_xx,k_xy,k_yy,theta_xx,theta_xy,theta_yy,condition")
    for row in rows():
        print(",".join(map(str, row)), flush=True)
