"""`sface-data recognition eval`."""

from pathlib import Path

import click

from sface_data.cli.options import BATCH, DEVICE, NamedPath


@click.command("eval")
@click.option(
    "--weights",
    metavar="FILE",
    required=True,
    type=NamedPath(path_type=Path),
    help="Network of faces: .onnx, a .safetensors of this package, or a published .pth (weights only).",
)
@click.option(
    "--benchmarks",
    "folder",
    metavar="DIR",
    required=True,
    type=NamedPath(path_type=Path),
    help="Folder with lfw.bin, agedb_30.bin, cfp_fp.bin, calfw.bin, cplfw.bin, other .bin files, or pairs lists "
    "(.txt, .csv).",
)
@click.option(
    "--benchmark",
    "names",
    metavar="NAME",
    multiple=True,
    help="Only this benchmark, as in lfw; can be given several times.  [default: all in DIR]",
)
@click.option(
    "--outdir",
    metavar="DIR",
    type=NamedPath(path_type=Path, file_okay=False),
    help="Folder for evaluation.json and roc.png.",
)
@BATCH
@DEVICE
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON on standard output.")
def evaluate(
    weights: Path,
    folder: Path,
    names: tuple[str, ...],
    outdir: Path | None,
    batch: int,
    device: str,
    as_json: bool,
) -> None:
    """Measure how well a network verifies faces: ten-fold accuracy, TAR at FAR, ROC.

    Benchmarks are .bin files as InsightFace publishes them (nothing in them is executed) or pairs lists: LFW's
    pairs.txt, or lines `path1 path2 0/1`, over the folder named like the list, else the one it is in. Where a
    published benchmark is used, published results are printed beside ours.

    \b
    Examples:
      sface-data recognition eval --weights run/weights.safetensors --benchmarks faces_emore
      sface-data recognition eval --weights model.onnx --benchmarks DIR --benchmark lfw --outdir eval
    """
    import os

    from sface_data.embedding.open import open_embedder
    from sface_data.io.files import atomic_write, os_errors_as_bad_input, pretty_json, write_text
    from sface_data.recognition import evaluation as ev
    from sface_data.recognition.benchmarks import PUBLISHED, find_benchmarks, open_benchmark
    from sface_data.recognition.benchmarks import evaluate as evaluate_benchmark
    from sface_data.runtime.progress import progress_bar

    paths = find_benchmarks(folder, names)
    embedder = open_embedder(weights, device)
    results = []
    for path in paths:
        benchmark = open_benchmark(path)
        with progress_bar(len(benchmark.images), "images", desc=benchmark.title, smoothing=0.05) as bar:
            results.append(
                evaluate_benchmark(embedder, benchmark, batch, threads=os.cpu_count() or 1, progress=bar.update)
            )
    found = ev.Evaluation(embedder.name, embedder.sha256, embedder.size, embedder.dimensions, tuple(results))
    record = pretty_json(found.record())
    if outdir is not None:
        with os_errors_as_bad_input(outdir):
            outdir.mkdir(parents=True, exist_ok=True)
        with atomic_write(outdir / ev.PLOT) as file:
            ev.draw_roc(results, embedder.name, file)
        write_text(outdir / ev.EVALUATION, record)
    if as_json:
        click.echo(record, nl=False)
    else:
        click.echo("\n\n".join(filter(None, (ev.summary(found), ev.comparison(found)))))
    absent = [
        title for name, title in PUBLISHED.items() if name not in {result.benchmark.name for result in results}
    ]
    if absent and not names:
        click.echo(f"not in {folder}, so not measured: {', '.join(absent)}", err=True)
