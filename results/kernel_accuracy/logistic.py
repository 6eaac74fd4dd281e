"""References for tanh, sigmoid, silu and softplus at every variance, in MPFR's numbers (`pip install gmpy2 mpmath`).

    python3 logistic.py tanh > tanh.csv          python3 logistic.py --check

Columns as those of `reference.py`. A function is `H + l`: `H` is its homogeneous limit smoothed by a Gaussian of standard deviation `s`,
whose dual is elementary, and `l` falls off exponentially. `E[l(u) H(v)]` is one integral, since `E[H(v) | u]` is `H` with another `s`;
`E[l(u) l(v)]` is a trapezoid rule over a lattice of `(u, v)` itself, not of multiples of the standard deviations: its size does not grow
with them. Where the density is narrower than the lattice, one coordinate follows its ridge; where both variances are below 1, the
functions are summed as they are. All rules are of 1e-32. sigmoid and the slope of softplus are tanh of half the argument.
"""
import sys
from fractions import Fraction
from functools import lru_cache

import gmpy2
import mpmath as mp
from gmpy2 import atan2, const_pi, erf, exp, log1p, mpfr, sqrt, tanh

gmpy2.get_context().precision = 170
gmpy2.get_context().emax, gmpy2.get_context().emin = 2**40, -2**40
mp.mp.dps = 55
PI = const_pi()
ROOT = sqrt(2 * PI)
BOX = mpfr("12.6")  # exp(-BOX^2/2) = 3e-35
ONE, ZERO = mpfr(1), mpfr(0)
HALF = 1 / sqrt(mpfr(2))


def normal(x):
    return exp(-x * x / 2) / ROOT


def below(x):
    """Distribution function of the normal; 1e-50 is nothing beside the values of any sum here."""
    return (1 + erf(x * HALF)) / 2


def fall(x):
    """1/(1 + e^x)."""
    return 1 / (1 + exp(x))


class Tanh:
    s, step, reach, odd = ONE, mpfr("0.125"), 40, 1
    f = staticmethod(tanh)

    @staticmethod
    def slope(x):
        t = exp(-2 * abs(x))
        return 4 * t / (1 + t) ** 2

    @staticmethod
    def local(x):
        if abs(x) < 1:
            return tanh(x) - erf(x * HALF)
        y = abs(x)
        return (1 - erf(y * HALF) - 2 * fall(2 * y)) * (1 if x > 0 else -1)

    @classmethod
    def local_pair(cls, x):
        return cls.local(x), cls.slope(x)

    @staticmethod
    def smooth(m, scale, rest):
        return erf(m / scale * HALF), ZERO

    @staticmethod
    def closed(a, c, b, det):
        return 2 / PI * atan2(c, sqrt(det + a + b + 1)), ZERO


class Softplus:
    s, step, reach, odd = mpfr("1.75"), mpfr("0.25"), 80, 0

    @staticmethod
    def f(x):
        return max(x, ZERO) + log1p(exp(-abs(x)))

    @staticmethod
    def slope(x):
        return ZERO

    @classmethod
    def local(cls, x):
        y = abs(x)
        return log1p(exp(-y)) - cls.s * normal(y / cls.s) + y * below(-y / cls.s)

    @classmethod
    def local_pair(cls, x):
        return cls.local(x), ZERO

    @staticmethod
    def smooth(m, scale, rest):
        return m * below(m / scale) + scale * normal(m / scale), ZERO

    @classmethod
    def closed(cls, a, c, b, det):
        q = cls.s**2
        root = sqrt(det + q * (a + b) + q * q)
        return (root + c * (PI - atan2(root, c))) / (2 * PI), ZERO


class Silu:
    s, step, reach, odd = mpfr("1.75"), mpfr("0.25"), 84, 0

    @staticmethod
    def f(x):
        return x * fall(-x)

    @staticmethod
    def slope(x):
        g = fall(-x)
        return g + x * g * fall(x)

    @classmethod
    def inner(cls, x):
        """sigmoid(x) - Phi(x/s)."""
        if abs(x) < 1:
            return (tanh(x / 2) - erf(x / cls.s * HALF)) / 2
        return (below(-x / cls.s) - fall(x)) if x > 0 else (fall(-x) - below(x / cls.s))

    @classmethod
    def local_pair(cls, x):
        inner, t = cls.inner(x), fall(x)
        return x * inner, inner + x * (t * (1 - t) - normal(x / cls.s) / cls.s)

    @staticmethod
    def smooth(m, scale, rest):
        # E[(m + t y) Phi((m + t y)/s)] with t^2 = rest, scale^2 = s^2 + t^2, and its derivative in m.
        z = m / scale
        p, d = below(z), normal(z)
        return m * p + rest / scale * d, p + z * d * (1 - rest / scale**2)

    @classmethod
    def closed(cls, a, c, b, det):
        q = cls.s**2
        a, c, b, det = a / q, c / q, b / q, det / q**2
        p, square = (1 + a) * (1 + b), 1 + a + b + det
        s = sqrt(square)
        t = atan2(c, s)
        v = c / 4 + (c * t + (c * c + a * b * square) / (p * s)) / (2 * PI)
        return q * v, ONE / 4 + t / (2 * PI) + c / (2 * PI * s) * (1 / square + (1 - a * b) / p + 1)


def whole_pair(F):
    return lambda x: (F.f(x), F.slope(x))


# ---- rules

@lru_cache(None)
def legendre(n=44):
    out = []
    for i in range(n):
        slope = lambda x: n * (x * mp.legendre(n, x) - mp.legendre(n - 1, x)) / (x * x - 1)
        x = mp.cos(mp.pi * (i + mp.mpf(3) / 4) / (n + mp.mpf(1) / 2))
        for _ in range(7):
            x -= mp.legendre(n, x) / slope(x)
        d = slope(x)
        out.append((mpfr(str(x)), mpfr(str(2 / ((1 - x * x) * d * d)))))
    return out


@lru_cache(None)
def hermite(n):
    """Nodes and weights of averages over a normal variable."""
    roots = mp.polyroots(mp.taylor(lambda x: mp.hermite(n, x), 0, n)[::-1], maxsteps=500, extraprec=400)
    weight = lambda x: mp.mpf(2) ** (n - 1) * mp.factorial(n) / (n * mp.hermite(n - 1, x)) ** 2
    return [(mpfr(str(x.real * mp.sqrt(2))), mpfr(str(weight(x.real)))) for x in roots]


def normal_rule(width):
    """Averages over a normal variable `y` of functions of `width y` analytic in a strip of `h0/0.08`; `width` is in units of h0/0.125."""
    if width == 0:
        return [(ZERO, ONE)]
    for bound, n in ((1e-6, 3), (3e-4, 5), (5e-3, 8), (5e-2, 16), (1e-1, 24)):
        if width < bound:
            return hermite(n)
    h = min(mpfr("0.45"), mpfr("0.125") / width)
    n = int(BOX / h) + 1
    return [(h * i, h * normal(h * i)) for i in range(-n, n + 1)]


def mixed(F, a, c, b, det):
    """E[l(u) H(v)] and E[l'(u) H'(v)]."""
    rest = max(det, ZERO) / a
    scale, k, root = sqrt(F.s**2 + rest), c / a, sqrt(a)
    width = scale / abs(k) if k != 0 else mpfr("1e1000000")
    end = min(F.reach * ONE, BOX * root)
    total, values = [ZERO, ZERO], None
    if min(width, root) > F.s * 0.3 or 4 * width > root:
        h = min(F.step, mpfr("0.45") * root, mpfr("0.45") * width)
        nodes = ((h * i, h if i else h / 2) for i in range(int(end / h) + 2))
        values = table(F, h) if h == F.step else None
    else:
        edges = [ZERO]
        while edges[-1] < end:
            near = edges[-1] < 14 * width
            edges.append(edges[-1] + min(2 * F.s, 2 * root, 2 * width if near else end))
        nodes = (((p + q) / 2 + (q - p) / 2 * x, (q - p) / 2 * w) for p, q in zip(edges, edges[1:]) for x, w in legendre())
    for i, (u, w) in enumerate(nodes):
        if values and i == len(values):
            break
        w = w * normal(u / root) / root
        (v0, d0), (v1, d1) = F.smooth(k * u, scale, rest), F.smooth(-k * u, scale, rest)
        v, d = values[i] if values else F.local_pair(u)
        total[0] += w * v * (v0 - v1 if F.odd else v0 + v1)
        if F is Silu:
            total[1] += w * d * (d0 - d1)
    return total


@lru_cache(None)
def table(F, step):
    """`l` and its slope on the lattice."""
    return [F.local_pair(step * i) for i in range(int(F.reach / step) + 1)]


def lattice(F, a, c, b, det, h):
    """E[l(u) l(v)] and that of slopes over the lattice of step `h`."""
    p, q, r = b / det, a / det, c / det
    value, slope = zip(*table(F, h))
    bells = [exp(-q * (h * i) ** 2 / 2) for i in range(len(value))]
    wl, wd = [t * w for t, w in zip(value, bells)], [t * w for t, w in zip(slope, bells)]
    n, m = int(min(F.reach * ONE, BOX * sqrt(a)) / h) + 1, int(min(F.reach * ONE, BOX * sqrt(b)) / h) + 1
    n, m = min(n, len(value) - 1), min(m, len(value) - 1)
    # Signs of l and its slope under x -> -x.
    signs = (-1, 1) if F.odd else (1, -1)
    totals = [ZERO, ZERO]
    with_slope = F is not Softplus
    for i in range(n + 1):
        top = min(m, int(F.reach / h) - i)
        if top < 0:
            break
        forward = exp(r * h * h * i)
        back = 1 / forward
        sums = [wl[0], wd[0]]
        x, y, s0, s1 = ONE, ONE, ZERO, ZERO
        for j in range(1, top + 1):
            x *= forward
            y *= back
            s0 += wl[j] * (x - y if signs[0] < 0 else x + y)
            if with_slope:
                s1 += wd[j] * (x - y if signs[1] < 0 else x + y)
        share = exp(-p * (h * i) ** 2 / 2) * (1 if i else ONE / 2)
        totals[0] += share * value[i] * (sums[0] + s0)
        totals[1] += share * slope[i] * (sums[1] + s1)
    # Both signs of u; the factor of half at u = 0 above.
    return [2 * t * h * h / (2 * PI * sqrt(det)) for t in totals]


def ridge(F, a, c, b, det, whole):
    """E[f(u) f(v)] and E[f'(u) f'(v)], or those of l, with v (the larger variance) on the outside, u about c/b v."""
    unit = F.step / mpfr("0.125")
    root, k, width = sqrt(b), c / b, sqrt(max(det, ZERO) / b)
    inner = normal_rule(width / unit)
    h = min(F.step, mpfr("0.45") * root)
    n = int(min(BOX * root, BOX * root if whole else F.reach * ONE) / h) + 1
    totals = [ZERO, ZERO]
    # (u, v) and (-u, -v) give the same for odd and even functions.
    both = whole and not F.odd
    pair = whole_pair(F) if whole else F.local_pair
    for i in range(-n if both else 0, n + 1):
        v = h * i
        w = h * normal(v / root) / root * (1 if both or i == 0 else 2)
        us = [(k * v + width * y, t) for y, t in inner]
        sums = [ZERO, ZERO]
        for u, t in us:
            value, slope = pair(u)
            sums[0] += t * value
            sums[1] += t * slope
        value, slope = pair(v)
        totals[0] += w * value * sums[0]
        totals[1] += w * slope * sums[1]
    return totals


@lru_cache(None)
def plain_dual(F, a, c, b, det, road="any"):
    if a > b:
        a, b = b, a
    narrow = sqrt(max(det, ZERO) / (a + b))
    h = F.step
    while h > F.step / 3 and narrow < 2 * h:
        h /= 2
    fits = narrow >= 2 * h
    if road == "direct" or (road == "any" and not fits and b <= 1):
        return ridge(F, a, c, b, det, True)
    if road == "ridge" or not fits:
        both = ridge(F, a, c, b, det, False)
    else:
        both = lattice(F, a, c, b, det, h)
    one = mixed(F, a, c, b, det)
    parts = [F.closed(a, c, b, det), one, one if a == b else mixed(F, b, c, a, det), both]
    return [sum(t[0] for t in parts), sum(t[1] for t in parts)]


def dual(name, a, c, b, det):
    """V and Vd; `det = ab - c^2` with all its digits."""
    if name == "tanh":
        v, d = plain_dual(Tanh, a, abs(c), b, det)
        return (-v if c < 0 else v), d
    if name == "sigmoid":
        v, d = dual("tanh", a / 4, c / 4, b / 4, det / 16)
        return (1 + v) / 4, d / 16
    if name == "softplus":
        return plain_dual(Softplus, a, c, b, det)[0], dual("sigmoid", a, c, b, det)[0]
    return tuple(plain_dual(Silu, a, c, b, det))


# ---- recursion

def exact(t):
    return mpfr(t.numerator) / mpfr(t.denominator) if isinstance(t, Fraction) else t


def recursion(name, x, y, w, beta, depths):
    """Layers' (K, Theta); inputs are exact, and so is the first determinant."""
    d = len(x)
    dot = lambda s, t: Fraction(w) * sum(p * q for p, q in zip(s, t)) / d + Fraction(beta)
    k = [dot(x, x), dot(x, y), dot(y, y)]
    det = exact(k[0] * k[2] - k[1] ** 2)
    k = [exact(t) for t in k]
    w, beta = mpfr(w), mpfr(beta)
    th, out = list(k), {}
    for layer in range(1, max(depths) + 1):
        moments = ((k[0], k[0], k[0], ZERO), (*k, det), (k[2], k[2], k[2], ZERO))
        parts = [dual(name, *t) for t in moments]
        th = [w * v + beta + w * s * t for (v, s), t in zip(parts, th)]
        k = [w * v + beta for v, _ in parts]
        det = max(k[0] * k[2] - k[1] ** 2, ZERO)
        if layer in depths:
            out[layer] = (list(k), list(th))
    return out


# ---- the grid

COMPLEMENTS = [0.0, 1e-14, 1e-9, 1e-5, 0.1, 1.0]
SCALES = [
    (1e-300, 1e-300), (1e300, 1e300), (1e-300, 1e300), (1e-300, 1.0), (1e200, 3e200), (1e-160, 1e-150), (1e-20, 1e20), (1e20, 1e20),
    (1e100, 1e-100), (1e-6, 1e-6), (1e-3, 1.0), (1.0, 1.0), (1.0, 4.0), (16.0, 16.0 * (1 + 3e-7)), (1.0, 1e6), (1e4, 1.2e4), (1e8, 1e8), (1e300, 1e-20),
]
# Of functions other than tanh; and sixty layers deep.
FEWER = [SCALES[i] for i in (0, 1, 2, 3, 6, 8, 11, 14, 16)]
DEEP_SCALES, DEEP_PAIRS = [(1e-300, 1e300), (1.0, 1e6), (1e8, 1e8)], [(1e-14, 1.0), (1e-5, 1.0), (0.1, -1.0)]
INITS = {"tanh": [(9, 0), (0.5, 0.1), (1.5, 0)], "sigmoid": [(16, 0.1), (4, 0)], "silu": [(2, 0), (1.5, 0.1)], "softplus": [(0.5, 0.5), (2, 0)]}
STEP = Fraction(1, 10**20)


def rows(name):
    from reference import inputs

    everything = name == "tanh"
    scales = SCALES if everything else FEWER
    deep_pair = lambda scale: DEEP_PAIRS if everything else [DEEP_PAIRS[DEEP_SCALES.index(scale)]]
    for index, (w, beta) in enumerate(INITS[name]):
        for scale in scales[index :: 1 if index == 0 else 4]:
            for u in COMPLEMENTS:
                for sign in (1.0, -1.0):
                    deep = scale in DEEP_SCALES and (u, sign) in deep_pair(scale)
                    depths = (1, 3, 10, 60) if deep else (1, 3)
                    x, y = inputs(*scale, u, sign)
                    fx, fy = [Fraction(t) for t in x], [Fraction(t) for t in y]
                    base = recursion(name, fx, fy, w, beta, depths)
                    fy[1] *= 1 + STEP
                    # The condition of many layers is left to `reference.py`.
                    moved = recursion(name, fx, fy, w, beta, [t for t in depths if t <= (10 if everything else 1)])
                    rho = lambda k: k[1] / sqrt(k[0] * k[2])
                    for depth, (k, th) in base.items():
                        if not all(1e-300 < t < 1e300 for t in (k[0], k[2])):
                            continue
                        condition = abs(rho(moved[depth][0]) - rho(k)) / exact(STEP) if depth in moved else mpfr("nan")
                        number = lambda t: mp.nstr(mp.mpf(t), 18) if t else "0.0"
                        yield [name, w, beta, depth, *map(repr, x), *map(repr, y), *map(number, k), *map(number, th), f"{float(condition):.1e}"]


def check():
    """Relative differences of V and Vd between the rules, where two apply."""
    for F in (Tanh, Softplus, Silu):
        for a, b, rho in ((1, 1, 0.5), (4, 1, 0.9), (1, 1, -0.3), (0.5, 0.5, 1 - 1e-9), (16, 16, 1 - 1e-4), (1e-3, 0.9, 0.7), (100, 100, 0.999)):
            a, b, rho = mpfr(a), mpfr(b), mpfr(abs(rho) if F is Tanh else rho)
            others = ["direct"] * (b < 20) + ["ridge"] * (rho > 0.99)
            arguments = (F, a, rho * sqrt(a * b), b, a * b * (1 - rho * rho))
            any_rule = plain_dual(*arguments)
            for road in others:
                pairs = zip(plain_dual(*arguments, road), any_rule)
                print(F.__name__, float(a), float(b), float(rho), road, *[f"{float(abs(p / q - 1)):.0e}" for p, q in pairs if q])


if __name__ == "__main__":
    if sys.argv[1] == "--check":
        check()
        sys.exit()
    print("activation,sigma_w2,sigma_b2,depth,x0,x1,x2,y0,y1,y2,k_xx,k_xy,k_yy,theta_xx,theta_xy,theta_yy,condition")
    for row in rows(sys.argv[1]):
        print(",".join(map(str, row)), flush=True)
