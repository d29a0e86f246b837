"""What a training run measured, as a picture."""

from pathlib import Path

from sface_data.io.files import atomic_write, exists
from sface_data.training.metrics_log import read_lines

_LEFT_OUT = ("kimg", "epoch", "images_per_second")


def draw_curves(metrics: Path, evaluations: Path, path: Path) -> None:
    """Draws lines of JSON over epochs into a PNG, one panel for each figure.

    Args:
        metrics, evaluations: as `training.metrics_log.MetricsLog` writes them; either may not exist.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    curves: dict[str, tuple[list[float], list[float]]] = {}
    for file in (metrics, evaluations):
        for line in _lines(file):
            for name, value in line.items():
                if name not in _LEFT_OUT:
                    epochs, values = curves.setdefault(name, ([], []))
                    epochs.append(line["epoch"])
                    values.append(value)
    figure = Figure(figsize=(4 * min(len(curves), 3), 3 * -(-len(curves) // 3)), layout="constrained")
    FigureCanvasAgg(figure)
    for number, (name, (epochs, values)) in enumerate(curves.items(), start=1):
        axes = figure.add_subplot(-(-len(curves) // 3), min(len(curves), 3), number)
        axes.plot(epochs, values, marker="." if len(values) < 20 else "")
        axes.set_title(name.replace("_", " "))
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
    with atomic_write(path) as opened:
        figure.savefig(opened, format="png", dpi=100, metadata={"Software": None})


def _lines(path: Path) -> list[dict[str, float]]:
    if not exists(path):
        return []
    lines = [said for _, said in read_lines(path, "epoch")]
    return [{name: value for name, value in said.items() if isinstance(value, (int, float))} for said in lines]
