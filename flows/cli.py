"""The command `pixelpairs`. Exit codes: 0 done; 1 the data or the gate failed; 2 the call was wrong."""

from __future__ import annotations

import importlib.util
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from flows import environment, open_clip, operate
from flows.display import plain

app = typer.Typer(
    name="pixelpairs",
    help="Training data for pixel-only vision-language models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_PLAIN_COLUMNS = 160  # a file or a pipe has no width of its own: wide enough that nothing is cut
out = Console(emoji=False) if sys.stdout.isatty() else Console(emoji=False, width=_PLAIN_COLUMNS)
err = Console(emoji=False, stderr=True)

FAILED = 1
WRONG_CALL = 2
INTERRUPTED = 130
TERMINATED = 143


class _Terminated(KeyboardInterrupt):
    """SIGTERM: the same way out as Ctrl-C, so that jobs and servers are ended."""


def _terminate(number: int, frame: object) -> None:
    raise _Terminated


@contextmanager
def _exit_codes() -> Iterator[None]:
    """Turns the errors that a user can cause into one clear message and the right code."""
    from flows.recipe import RecipeError
    from pipelines.dataset import DatasetError
    from pipelines.jobs import JobError
    from pipelines.lease import LeaseError, StoppedError
    from pipelines.ledger import LedgerError
    from pipelines.similarity.model import ModelError
    from pipelines.sources.reading import SourceError
    from pipelines.storage import StorageError
    from pipelines.train.run import TrainError
    from rendering.font import FontError

    try:
        yield
    except (RecipeError, SourceError, ModelError, FontError) as error:
        _say(error)
        raise typer.Exit(WRONG_CALL) from error
    except (JobError, LeaseError, StoppedError, LedgerError, StorageError, DatasetError, TrainError, OSError) as error:
        _say(error)
        raise typer.Exit(FAILED) from error
    except _Terminated as error:
        err.print("terminated")
        raise typer.Exit(TERMINATED) from error
    except KeyboardInterrupt as error:
        err.print("interrupted")
        raise typer.Exit(INTERRUPTED) from error
    except Exception as error:
        # Of modules that import Prefect, which most commands have no need of: by name.
        if type(error).__name__ in ("GateError", "DeployError"):
            _say(error)
            raise typer.Exit(FAILED) from error
        if type(error).__name__ in ("ValidationError", "ParameterTypeError"):
            _say(error)
            raise typer.Exit(WRONG_CALL) from error
        raise


def _say(error: object) -> None:
    err.print("error: ", style="bold red", end="")
    words = "\n".join(plain(line) for line in str(error).splitlines())
    err.print(words, markup=False, highlight=False, soft_wrap=True)


@app.command()
def build(
    recipe: Annotated[Path, typer.Argument(help="the recipe, a YAML file")],
    root: Annotated[
        str, typer.Option(help="where stages and data sets live: a folder or an fsspec URL")
    ] = "pixelpairs-root",
    plan: Annotated[bool, typer.Option("--plan", help="show the stages and what they will cost; run nothing")] = False,
    train: Annotated[bool, typer.Option("--train/--no-train", help="start the recipe's trainer on the version")] = True,
    workers: Annotated[
        int | None, typer.Option(min=1, help="workers of Beam and Ray; default: the recipe's, else the CPUs")
    ] = None,
    partition: Annotated[
        str | None, typer.Option(help="stands for {partition} in the paths of the recipe's sources")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="show the orchestrator's log")] = False,
) -> None:
    """Build, verify and publish a data set, then start training on it."""
    environment.settle(verbose=verbose)
    with _exit_codes():
        if plan:
            from flows.plan import show

            show(str(recipe), root, workers, out, partition)
            return
        _build(str(recipe), root, train=train, workers=workers, partition=partition)


def _build(recipe: str, root: str, *, train: bool, workers: int | None, partition: str | None = None) -> None:
    from flows.build import build_dataset
    from flows.context import Context, share
    from flows.display import showing, summary
    from flows.guardian import watch_over_this_process
    from flows.prepare import prepare

    signal.signal(signal.SIGTERM, _terminate)
    prepare(recipe, root, workers, partition)  # the user's mistakes come to light before anything starts
    context = Context()
    share(context)
    watch_over_this_process()
    with showing(context.board, out):
        build_dataset(recipe=recipe, root=root, train_after=train, workers=workers, partition=partition)
    assert context.built is not None
    summary(context.built, context.board, out)


@app.command()
def verify(version: Annotated[str, typer.Argument(help="folder of a published version")]) -> None:
    """Read a published version back: hashes, counts, every picture against its text."""
    from flows.inspection import verify_version

    with _exit_codes():
        if not verify_version(version, out):
            raise typer.Exit(FAILED)


@app.command()
def inspect(
    what: Annotated[str, typer.Argument(help="folder of a published version, or one tar")],
    output: Annotated[Path, typer.Option("-o", "--output", help="where the contact sheet goes")] = Path("sheet.png"),
    samples: Annotated[int, typer.Option(min=1, max=200, help="pictures a kind")] = 8,
    seed: Annotated[int, typer.Option(help="which samples")] = 0,
) -> None:
    """Count what is there and draw a contact sheet of samples."""
    from flows.inspection import inspect_anything

    with _exit_codes():
        inspect_anything(what, output, samples, seed, out)


@app.command()
def funnel(
    places: Annotated[list[str], typer.Argument(help="roots of builds, annotate stages, or raw alt-text files")],
    preset: Annotated[
        list[str] | None, typer.Option(help="preset or YAML file of rules; repeat; default: every preset")
    ] = None,
    text: Annotated[str | None, typer.Option(help="the text's column in raw files; default: the usual names")] = None,
    queries: Annotated[
        list[str] | None, typer.Option(help="list of queries to balance by; repeat; default: the preset's own, if any")
    ] = None,
    threshold: Annotated[int, typer.Option(min=1, help="of --queries: pairs of a query that are enough")] = 20_000,
    mode: Annotated[str, typer.Option(help="of --queries: probability (MetaCLIP) or cap (CLIP)")] = "probability",
    top: Annotated[int, typer.Option(min=0, max=20, help="greatest queries to show")] = 10,
) -> None:
    """Show what alt-text rules and balancing drop, rule by rule, and what they keep."""
    from flows import rules

    with _exit_codes():
        chosen = {
            name: rules.with_queries(rules.options_of(name), queries, threshold, mode)
            for name in preset or rules.every_preset()
        }  # before anything is read or said
        for rows in rules.annotated(places, text):
            changed = ", ".join(f"{what} {count:,}" for what, count in rules.repairs(rows).items()) or "nothing"
            out.print(f"\n{rows.name}: normalising changed {changed}", highlight=False, markup=False, soft_wrap=True)
            for name, options in chosen.items():
                found = rules.funnel(rows, options)
                out.print(f"\n{rows.name}, {name}: {found['in']:,} rows", highlight=False, markup=False)
                left = found["in"]
                for rule, count in found["dropped"].items():
                    left -= count
                    alone = found["alone"][rule]
                    out.print(f"  {rule:<22}{-count:>9,}{left:>10,}   alone {alone:,}", highlight=False, markup=False)
                share = found["kept"] / max(1, found["in"])
                out.print(f"  {'kept':<22}{'':>9}{found['kept']:>10,}   {share:.1%}", highlight=False, markup=False)
                for line in rules.balance_lines(rules.balanced(rows, options), top):
                    out.print(plain(line), highlight=False, markup=False, soft_wrap=True)


@app.command()
def samples(
    places: Annotated[list[str], typer.Argument(help="roots of builds, annotate stages, or raw alt-text files")],
    preset: Annotated[str, typer.Option(help="preset or YAML file of rules")] = "default",
    output: Annotated[Path, typer.Option("-o", "--output", help="folder for the files")] = Path("samples"),
    count: Annotated[int, typer.Option("-n", min=1, max=10_000, help="rows that each rule kept or dropped")] = 50,
    seed: Annotated[int, typer.Option(help="which rows")] = 0,
    text: Annotated[str | None, typer.Option(help="the text's column in raw files; default: the usual names")] = None,
) -> None:
    """Write random rows that alt-text rules kept and that each rule drops, for a person to read."""
    from flows import rules

    with _exit_codes():
        options = rules.options_of(preset)
        for rows in rules.annotated(places, text):
            for path in rules.write_samples(rows, options, output, count, seed):
                out.print(str(path), markup=False, highlight=False, soft_wrap=True)


@app.command()
def show(
    what: Annotated[
        str, typer.Argument(help="folder of a published version, or the root of builds: its versions in use")
    ],
    kind: Annotated[list[str] | None, typer.Option(help="kind of pairs; repeat; default: all")] = None,
    language: Annotated[list[str] | None, typer.Option(help="language, BCP 47; repeat; default: all")] = None,
    count: Annotated[int, typer.Option("-n", min=1, max=10_000, help="pairs of each kind, language and rule")] = 50,
    dropped: Annotated[
        bool, typer.Option("--dropped", help="also what each rule drops, where the stages are there")
    ] = False,
    seed: Annotated[int, typer.Option(help="which pairs")] = 0,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="a file in place of the terminal: .txt, or .jsonl")
    ] = None,
) -> None:
    """Show pairs to read, of each kind in each language: what was kept and, asked for, what each rule dropped."""
    from flows import excerpts
    from flows import show as showing
    from pairs.schema import KINDS

    if unknown := sorted(set(kind or ()) - set(KINDS)):
        _say(f"--kind {unknown[0]}: there are {', '.join(KINDS)}")
        raise typer.Exit(WRONG_CALL)
    with _exit_codes():
        drawn = excerpts.draw(
            what, most=count, seed=seed, kinds=kind or (), languages=language or (), also_dropped=dropped
        )
        if output is None:
            showing.show(drawn, out)
        else:
            showing.write(drawn, output)
            out.print(str(output), markup=False, highlight=False, soft_wrap=True)
        out.print(plain(showing.summary(drawn)), markup=False, highlight=False, soft_wrap=True)


@app.command()
def preview(
    text: Annotated[list[str], typer.Argument(help="one text or several; - reads standard input")],
    output: Annotated[Path, typer.Option("-o", "--output", help="where the PNG goes")],
    layout: Annotated[str, typer.Option(help="clippo, square, strip, question, pair")] = "clippo",
    width: Annotated[int, typer.Option(help="px")] = 224,
    height: Annotated[int, typer.Option(help="px")] = 224,
    font_size: Annotated[int, typer.Option(help="px; 16 draws Unifont as it is")] = 16,
    background: Annotated[int, typer.Option(help="grey, 0..255")] = 127,
    ink: Annotated[int, typer.Option("--text", help="grey of the text, 0..255")] = 0,
    lower: Annotated[bool, typer.Option("--lower/--no-lower", help="lower-case A-Z first, as CLIPPO does")] = True,
    monospace: Annotated[bool, typer.Option("--monospace", help="every glyph 16 columns wide")] = False,
    unifont: Annotated[
        list[Path] | None, typer.Option(help=".hex or .hex.gz in place of the bundled Unifont; repeat")
    ] = None,
    font: Annotated[
        list[Path] | None, typer.Option(help="outline font of square and strip, preferred first; repeat")
    ] = None,
    image: Annotated[Path | None, typer.Option(help="the picture below the question")] = None,
    share: Annotated[float, typer.Option(help="of the canvas for the question")] = 0.25,
) -> None:
    """Draw texts as a model reads them."""
    from rendering import RenderSpec
    from rendering.preview import draw, stack_images

    texts = [sys.stdin.read() if word == "-" else word for word in text]
    try:
        spec = RenderSpec(
            width=width,
            height=height,
            font_size=font_size,
            background=background,
            text=ink,
            lower=lower,
            monospace=monospace,
            font=tuple(map(str, unifont or ())),
        )
        images, notes = draw(texts, layout=layout, spec=spec, fonts=font or [], image=image, share=share)
    except (ValueError, OSError, RuntimeError) as error:
        _say(error)
        raise typer.Exit(WRONG_CALL) from error
    try:
        stack_images(images).save(output)
    except (OSError, ValueError) as error:
        _say(f"cannot write {output}: {error}")
        raise typer.Exit(FAILED) from error
    for note in notes:
        out.print(note, highlight=False)
    out.print(str(output), markup=False, highlight=False, soft_wrap=True)


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="big_vision's .npz of a CLIPPO model, or .safetensors of the trainer")],
    target: Annotated[Path, typer.Argument(help="the other one")],
    size: Annotated[int | None, typer.Option(help="px a side that the tower will read; none: as in the npz")] = None,
) -> None:
    """Convert CLIPPO's released weights into the reference trainer's tower, or back."""
    if importlib.util.find_spec("torch") is None:
        _say("converting needs PyTorch: pip install torch==2.13.0")
        raise typer.Exit(WRONG_CALL)
    from pipelines.train.convert import ConversionError
    from pipelines.train.convert import convert as convert_weights

    try:
        out.print(convert_weights(source, target, size=size), markup=False, highlight=False, soft_wrap=True)
    except ConversionError as error:
        _say(error)
        raise typer.Exit(FAILED) from error


@app.command()
def schema() -> None:
    """Print the JSON schema of a recipe: every field with its description, bounds and default."""
    import json

    from flows.recipe import schema as recipe_schema

    sys.stdout.write(json.dumps(recipe_schema(), indent=1, ensure_ascii=False) + "\n")


@app.command()
def demo(
    root: Annotated[Path, typer.Option(help="where the demo's input, stages and data set go")] = Path("build/demo"),
    train: Annotated[bool, typer.Option("--train/--no-train", help="train on what was built")] = True,
    pictures: Annotated[int | None, typer.Option(min=50, help="pictures to draw; default: the example's own")] = None,
) -> None:
    """Make the quickstart's input on the spot, build it, and train on it."""
    from flows.demo import run_demo

    with _exit_codes():
        run_demo(root, train=train, pictures=pictures, build=_build, out=out)


operate.register(app, out, _exit_codes)
open_clip.register(app, out, _exit_codes)


def main(run: Callable[[], None] = app) -> None:
    """Entry point."""
    run()


if __name__ == "__main__":
    main()
