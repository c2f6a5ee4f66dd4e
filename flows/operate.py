"""The commands of those who run pixelpairs for others: deployments, versions and their champion, maintenance."""

from __future__ import annotations

import datetime
import json
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from flows import environment

_ROOT = typer.Option(help="where stages and data sets live: a folder or an fsspec URL")
_DEFAULT_ROOT = "pixelpairs-root"
_SHOWN = 40


def _absolute(place: str) -> str:
    """A local path as a worker in another folder finds it."""
    return place if "://" in place else str(Path(place).resolve())


def _data_sets(root: str) -> list[str]:
    """The data sets of a root.

    Raises:
        DatasetError: It has none.
    """
    from pipelines.dataset import DatasetError
    from pipelines.publish import champion

    if not (names := champion.names(root)):
        raise DatasetError(f"no data sets under {root}: name the root of a build by --root")
    return names


def _places(root: str, name: str | None, *versions: str) -> list[str]:
    """The folders of versions that are named by folder, or by number: then of the data set `name`, or of the root's only one.

    Raises:
        DatasetError: There are several data sets, or none, and none is named.
    """
    from pipelines import manifest, storage
    from pipelines.dataset import DatasetError
    from pipelines.publish.version import folder_of

    def is_number(one: str) -> bool:
        return "/" not in one and not storage.exists(storage.join(one, manifest.NAME))

    if name is None and (numbers := [one for one in versions if is_number(one)]):
        names = _data_sets(root)
        if len(names) > 1:
            raise DatasetError(
                f"{numbers[0]} is no folder of a version; if a number, of which? --name {' | '.join(names)}"
            )
        return [folder_of(root, names[0], one) if one in numbers else one for one in versions]
    return [folder_of(root, name, one) if name is not None else one for one in versions]


def register(app: typer.Typer, out: Console, exit_codes: Callable[[], AbstractContextManager[None]]) -> None:
    """Adds the commands to the command line.

    Args:
        app: The command line.
        out: Where results go.
        exit_codes: Turns errors into messages and exit codes.
    """

    def say(line: str) -> None:
        out.print(line, markup=False, highlight=False, soft_wrap=True)

    @app.command()
    def deploy(
        recipe: Annotated[str, typer.Option(help="default recipe of the deployments")],
        root: Annotated[str, _ROOT] = _DEFAULT_ROOT,
        file: Annotated[Path | None, typer.Option(help="prefect.yaml; default: this checkout's")] = None,
        automations: Annotated[Path | None, typer.Option(help="folder of automations; default: infra/prefect")] = None,
        notify: Annotated[
            bool, typer.Option("--notify", help="make the notification block from $PIXELPAIRS_NOTIFY_URL")
        ] = False,
    ) -> None:
        """Apply prefect.yaml and the automations to the Prefect server at PREFECT_API_URL."""
        environment.settle()
        from flows import deployments

        with exit_codes():
            deployments.deploy(
                file=(file or deployments.FILE).resolve(),
                automations=automations or deployments.AUTOMATIONS,
                recipe=_absolute(recipe),
                root=_absolute(root),
                notify=notify,
                said=say,
            )

    @app.command()
    def serve(
        recipe: Annotated[str, typer.Option(help="default recipe of the deployments")],
        root: Annotated[str, _ROOT] = _DEFAULT_ROOT,
        file: Annotated[Path | None, typer.Option(help="prefect.yaml; default: this checkout's")] = None,
        automations: Annotated[Path | None, typer.Option(help="folder of automations; default: infra/prefect")] = None,
        port: Annotated[int, typer.Option(min=1, max=65535, help="of the server, where none is named")] = 4200,
        limit: Annotated[int, typer.Option(min=1, help="most runs at once")] = 2,
        notify: Annotated[
            bool, typer.Option("--notify", help="make the notification block from $PIXELPAIRS_NOTIFY_URL")
        ] = False,
    ) -> None:
        """Run everything on this machine: a Prefect server if PREFECT_API_URL names none, the deployments, and a worker."""
        environment.settle()
        from flows import deployments

        signal.signal(
            signal.SIGTERM, signal.default_int_handler
        )  # the same way out as Ctrl-C: server and worker are ended
        with exit_codes():
            code = deployments.serve(
                file=(file or deployments.FILE).resolve(),
                automations=automations or deployments.AUTOMATIONS,
                recipe=_absolute(recipe),
                root=_absolute(root),
                port=port,
                limit=limit,
                notify=notify,
                said=say,
            )
            raise typer.Exit(code)

    @app.command()
    def versions(
        name: Annotated[str | None, typer.Argument(help="a data set; none: all of the root")] = None,
        root: Annotated[str, _ROOT] = _DEFAULT_ROOT,
    ) -> None:
        """List the versions of a data set, the newest first; * is the one in use."""
        from pipelines.publish import champion

        with exit_codes():
            names = [name] if name is not None else _data_sets(root)
            table = Table(box=None, pad_edge=False)
            for column in ("", "data set", "version", "published", "pairs", "shards", "trained"):
                table.add_column(column, justify="right" if column in ("pairs", "shards", "trained") else "left")
            for one in names:
                for listed in champion.versions(root, one):
                    when = ""
                    if listed.age is not None:
                        published = datetime.datetime.now().astimezone() - datetime.timedelta(seconds=listed.age)
                        when = published.isoformat(" ", "minutes")
                    pairs = sum(listed.manifest.samples().values())
                    table.add_row(
                        "*" if listed.champion else "", one, listed.version, when,
                        f"{pairs:,}", f"{len(listed.manifest.shards):,}", f"{listed.trained}",
                    )  # fmt: skip
            out.print(table)

    def announce(root: str, name: str, folder: str, version: str, sha256: str) -> None:
        import os

        if os.environ.get("PREFECT_API_URL"):
            from flows.publishing import announce as tell

            tell(name, folder, version, sha256)
            say("the event pixelpairs.dataset.promoted is sent")

    @app.command()
    def promote(
        name: Annotated[str, typer.Argument(help="the data set")],
        version: Annotated[str, typer.Argument(help="the version that is to be in use")],
        root: Annotated[str, _ROOT] = _DEFAULT_ROOT,
    ) -> None:
        """Make a published version the one in use; where PREFECT_API_URL names a server, training may start by it."""
        environment.settle()
        from pipelines.publish import champion

        with exit_codes():
            done = champion.promote_version(_absolute(root), name, version)
            say(f"{name}: {done.version} is in use")
            announce(root, name, done.folder, done.version, done.manifest_sha256)

    @app.command()
    def rollback(
        name: Annotated[str, typer.Argument(help="the data set")],
        root: Annotated[str, _ROOT] = _DEFAULT_ROOT,
    ) -> None:
        """Make the last champion before the present one the one in use again. Starts no training."""
        from pipelines.publish import champion

        with exit_codes():
            say(f"{name}: {champion.rollback(root, name).version} is in use again")

    @app.command()
    def diff(
        a: Annotated[str, typer.Argument(help="folder of a version, or its number with --name")],
        b: Annotated[str, typer.Argument(help="folder of another, or its number")],
        name: Annotated[str | None, typer.Option(help="the data set, where A and B are numbers")] = None,
        root: Annotated[str, _ROOT] = _DEFAULT_ROOT,
        as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    ) -> None:
        """Show what differs between two versions: rows gained and lost by kind, source and language, rules, settings, stages."""
        from pipelines.publish.compare import compare

        with exit_codes():
            one, other = _places(root, name, a, b)
            found = compare(one, other)
            if as_json:
                fields = ("kind", "source", "lang", "kept", "gained", "lost")
                rows = [dict(zip(fields, (*key, *counts), strict=True)) for key, counts in found.rows.items()]
                words: dict[str, Any] = {"rows": rows, "settings": found.settings, "stages": found.stages}
                words["dropped"] = [[*key, *counts] for key, counts in found.dropped.items()]
                say(json.dumps(words, indent=1, ensure_ascii=False))
                return
            for by, title in enumerate(("kind", "source", "language")):
                table = Table(title=f"rows by {title}", title_justify="left", box=None, pad_edge=False)
                for column in (title, "in both", "gained", "lost"):
                    table.add_column(column, justify="left" if column == title else "right")
                for key, (kept, gained, lost) in found.total(by).items():
                    table.add_row(key or "(none)", f"{kept:,}", f"{gained:+,}" if gained else "0", f"{-lost:,}")
                out.print(table)
            for (kind, step, rule), (before, after) in list(found.dropped.items())[:_SHOWN]:
                say(f"dropped: {kind}, {step}, {rule}: {before:,} -> {after:,}")
            for path, (before, after) in found.settings.items():
                say(
                    f"setting: {path}: {json.dumps(before, ensure_ascii=False)} -> {json.dumps(after, ensure_ascii=False)}"
                )
            for stage, why in found.stages.items():
                say(f"stage: {stage}: {why}")

    @app.command()
    def render(
        recipe: Annotated[Path, typer.Argument(help="the recipe")],
        root: Annotated[str, _ROOT] = _DEFAULT_ROOT,
        kind: Annotated[list[str] | None, typer.Option(help="kind of pairs; repeat; default: all")] = None,
        first: Annotated[int, typer.Option(min=0, help="number of the first shard of each kind")] = 0,
        last: Annotated[int | None, typer.Option(min=1, help="number of the first that is not rendered")] = None,
        workers: Annotated[int | None, typer.Option(min=1, help="workers of Beam and Ray")] = None,
        partition: Annotated[str | None, typer.Option(help="stands for {partition} in the recipe")] = None,
    ) -> None:
        """Render a build's shards, or a range of them, and publish nothing. Several ranges can run at once."""
        environment.settle()
        from flows.context import Context, share
        from flows.display import showing
        from flows.guardian import watch_over_this_process
        from flows.render import render_shards

        with exit_codes():
            context = Context()
            share(context)
            watch_over_this_process()
            with showing(context.board, out):
                render_shards(
                    recipe=str(recipe), root=root, kinds=kind or [], first=first, last=last, workers=workers,
                    partition=partition,
                )  # fmt: skip

    @app.command()
    def backfill(
        recipe: Annotated[str, typer.Argument(help="the recipe; {partition} in its path is filled in")],
        root: Annotated[str, _ROOT] = _DEFAULT_ROOT,
        first: Annotated[str | None, typer.Option(help="first day, YYYY-MM-DD")] = None,
        last: Annotated[str | None, typer.Option(help="last day, included")] = None,
        step_days: Annotated[int, typer.Option(min=1, help="days between two builds")] = 1,
        partition: Annotated[list[str] | None, typer.Option(help="name in place of days; repeat")] = None,
        deployment: Annotated[str, typer.Option(help="what is started")] = "build_dataset/on-demand",
        start: Annotated[bool, typer.Option("--start", help="start them; default: list them")] = False,
    ) -> None:
        """Start a build for each day or partition of a grid, each once; lists them unless told to start."""
        environment.settle()
        from flows.maintenance import backfill as run

        with exit_codes():
            try:
                cells = run(
                    deployment=deployment, recipe=_absolute(recipe), root=_absolute(root), first=first, last=last,
                    step_days=step_days, partitions=partition or [], dry_run=not start,
                )  # fmt: skip
            except ValueError as error:  # a grid that is none, or a deployment that is not there
                raise typer.BadParameter(str(error)) from error
            for cell in cells:
                say(f"{cell.partition}: {cell.state or 'to start'} {cell.run}".rstrip())

    @app.command()
    def reap(
        address: Annotated[str, typer.Argument(help="Jobs API of the Ray cluster, http://head:8265")],
        stop: Annotated[bool, typer.Option("--stop/--list", help="stop what is found, or list it")] = True,
    ) -> None:
        """Stop jobs on a Ray cluster whose run is over and which nobody follows."""
        environment.settle()
        from flows.maintenance import reap as run

        with exit_codes():
            found = run(address=address, stop=stop)
            say("\n".join(found) or "none")

    @app.command()
    def retire(
        root: Annotated[str, _ROOT] = _DEFAULT_ROOT,
        keep: Annotated[int, typer.Option(min=1, help="newest versions that stay, beside the champion")] = 3,
        min_age_hours: Annotated[float, typer.Option(min=0, help="nothing younger goes")] = 24.0,
        remove: Annotated[bool, typer.Option("--remove", help="remove what is listed")] = False,
    ) -> None:
        """List versions and outputs of stages that nothing needs any more; remove them when told."""
        from pipelines import retire as retirement

        with exit_codes():
            found = retirement.plan(root, keep=keep, min_age_seconds=min_age_hours * 3600)
            for what, why in found.kept.items():
                say(f"stays: {what}: {why}")
            for what in [*found.versions, *found.stages]:
                say(f"goes: {what}")
            say(f"{len(found.versions)} versions and {len(found.stages)} stages go, {found.bytes:,} bytes")
            if remove:
                retirement.carry_out(root, found, said=lambda line: say(f"removed {line}"))
            elif found.versions or found.stages:
                say("nothing is removed: add --remove")
