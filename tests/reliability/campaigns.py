"""All campaigns by name, and which of their outcomes are honest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from reliability import disturbed, domains, files, inversions, leaky, proofs, relatives, steadiness, verdicts
from reliability.record import Run
from reliability.verdicts import Outcome

# What may happen without a false statement or a lost row.
HONEST = (
    "agreed", "unknown", "slow", "rejected", "accepted: still a proof of its own network", "accepted on a premise",
    "refused in one line", "read", disturbed.SAME,
)  # fmt: skip


@dataclass(frozen=True)
class Campaign:
    """A source of outcomes, from an instance number on, and what the page says of it."""

    run: Callable[[int], Iterator[Outcome]]
    title: str
    text: str


CAMPAIGNS = {
    "one_layer": Campaign(
        verdicts.one_layer,
        "One layer, in bulk",
        "Layers of one to three inputs with small, large, sparse, opposite, related and nearly opposite "
        "integer rows, with and "
        "without biases, in units that differ by up to 2^500; by turns all three criteria. The oracle lists "
        "all cells in 64-bit "
        "integers (`tests/reliability/flags.py`). Every failure's two inputs are evaluated in fractions; one "
        "pass in 50 is "
        "certified and verified.",
    ),
    "structured": Campaign(
        verdicts.structured,
        "One layer, as users build them",
        "Tied, shared, quantised, pooled, flipped, circulant and nearly dependent rows of up to four inputs, against "
        "enumeration of all regions over the rationals (`tests/structured`, `tests/naive`); one network in "
        "five with certificates.",
    ),
    "deep": Campaign(
        verdicts.deep,
        "Deep networks",
        "Two and three layers, structured and random (Gaussian in float64 and float32, with biases, and drawn by "
        "`mcinj.sample`), all three criteria, against all regions and all pairs of closed regions over the "
        "rationals; one "
        "network in five with certificates. *Slow*: a verdict was stopped after 20 s.",
    ),
    "domains": Campaign(
        domains.bounded,
        "Boxes and balls",
        "One to three layers of one or two inputs: two in three are small integers, with pruned units and layers "
        "without biases, the others are those of the campaigns before. Walls of boxes and radii go through corners of "
        "regions or pass them by one unit in the last place, are tiny, huge, or have 0 on them. The oracle cuts the "
        "closed box into all regions over the rationals and asks which pairs of their points with one output lie in "
        "the open domain (`tests/naive/bounded.py`). Of a ball it may find no answer where pairs come close to the "
        "sphere; then a failure's two inputs are all that is checked. Pairs of boxes must not close what fails.",
    ),
    "leaky": Campaign(
        leaky.verdicts,
        "Leaky ReLUs",
        "One to four layers of one or two inputs that narrow, so that columns are dependent and a search decides, with "
        "and without biases, slopes from 1e-12 to 1 - 2^-53; against all regions and all pairs of them over the "
        "rationals.",
    ),
    "inversion": Campaign(
        inversions.one_layer,
        "Inputs back from outputs",
        "f(x) of a random x is computed in fractions; `invert` must give x back, or another input with the "
        "same output and "
        "say that there are several. Layers as in the first campaign.",
    ),
    "deep_inversion": Campaign(
        inversions.deep,
        "Inputs back from outputs of deep networks",
        "Networks as in the campaign of deep ones; up to four outputs of each: of a random input (exact), the same "
        "rounded (floats), one entry changed (moved), and of a point on a face of a random region. The oracle lists "
        "all regions over the rationals and solves for the coefficients of their rays (`tests/naive/preimages.py`): "
        "there must be no input, one or several as it says, and each of its inputs lies in exactly one of the pieces.",
    ),
    "stability": Campaign(
        verdicts.stability,
        "Stability",
        "The least singular value of a region must come out 0 exactly where the layer is not injective, and "
        "have a positive lower "
        "bound elsewhere. *Unknown*: the interval begins at 0 and does not end there. Layers as in the first campaign.",
    ),
    "deep_stability": Campaign(
        steadiness.stability,
        "Stability of several layers, on domains, of leaky ReLUs",
        "Small integers and Gaussian weights, one to three layers of one or two inputs, on the whole space or on "
        "domains as above. The interval of the least singular value must hold that of all regions, by exact Gram "
        "matrices; the lower Lipschitz constant must be at most the ratio of every pair of up to 300, exactly; `pair` "
        "must show what it says. *Unknown*: not complete.",
    ),
    "certificates": Campaign(
        proofs.certificates,
        "Damaged certificates",
        "Proofs of networks of small integers (one layer, biases, two layers regional and global), one to "
        "three numbers "
        "changed, left out, doubled, swapped or copied, checksum and digest made right again. Half are "
        "presented for a network "
        "that differs in the sign of one row and does *not* pass: accepting one as exact would be a *false "
        "acceptance*. The other half "
        "for their own network, where a changed proof may still be one; floats and rationals must then agree.",
    ),
    "relatives": Campaign(
        relatives.relatives,
        "Networks and their relatives",
        "One to three layers of small integers with up to five inputs (three of several layers), everywhere, on boxes "
        "and balls, leaky, without an oracle: units in another order, rows times any positive rationals, inputs "
        "flipped, sheared, shifted, hidden units split in two, rows repeated must not change a pass into a failure or "
        "the reverse; nor may a pass fail with a further row, an injective layer behind, or on a smaller domain. σ* "
        "and κ of one function, asked twice, must have intervals that meet. Proofs of passes are presented for "
        "networks that differ in one number, also by a unit in the last place, checksum and digest made right: the "
        "oracle judges what is accepted. *Slow*: a question was stopped after 6 s.",
    ),
    "files": Campaign(
        files.files,
        "Damaged files",
        "Networks in npz, onnx and safetensors files and experiments in toml, with bytes changed, cut, "
        "doubled, and numbers and words "
        "replaced. A file is read, or refused in one line; anything else is an *error*. Readers have 4 GB and 20 s.",
    ),
    "runs": Campaign(
        disturbed.disturbed,
        "Disturbed experiments",
        "Experiments of seven kinds, of about a hundred trials each, started again and again and disturbed: the parent "
        "or workers killed at any moment (SIGKILL), stopped by a signal, given a full or read-only disk or a limit on "
        "file sizes, clocks that jump by days, a second run on the same directory. No row that was recorded may be "
        "lost on the way, no process left behind, every refusal is one line. The last start is left alone: the table "
        "must be that of an undisturbed run.",
    ),
}


def bad(run: Run) -> dict[str, int]:
    """Outcomes that should not have happened."""
    return {kind: count for kind, count in run.counts.items() if kind not in HONEST}
