"""The page of a version's runs: links to pages that are there, and nothing that a trainer wrote as markup."""

from __future__ import annotations

import json
from pathlib import Path

from pipelines.train import runs_page


def run(jobs: Path, name: str, outcome: object, *, page: bool = True) -> None:
    (jobs / name).mkdir(parents=True)
    text = outcome if isinstance(outcome, str) else json.dumps(outcome)
    (jobs / name / "outcome.json").write_text(text)
    if page:
        (jobs / name / "report.html").write_text("x")


def test_every_run_has_a_line_and_only_pages_that_are_there_a_link(tmp_path: Path) -> None:
    retrieval = {"text_to_left": {"recall_at_1": 0.25, "recall_at_5": 0.5}, "chance_at_1": 0.01}
    result = {"steps": 1200, "model": "tiny", "retrieval": retrieval, "modality_gap": 0.5}
    run(tmp_path, "0" * 16, {"state": "succeeded", "result": result})
    run(tmp_path, "1" * 16, {"state": "failed", "result": {}}, page=False)
    run(tmp_path, "not-a-run", {"state": "succeeded", "result": {}})
    runs_page.write(str(tmp_path), "outcome.json")
    page = (tmp_path / "index.html").read_text()
    assert f'href="{"0" * 16}/report.html"' in page
    assert f'href="{"1" * 16}' not in page
    assert "1" * 16 in page
    assert "not-a-run" not in page
    assert "<td>succeeded</td><td>tiny</td>" in page
    for words in ("1,200", "25.0%", "50.0%", "1.00%", "0.500"):
        assert words in page


def test_what_a_trainer_wrote_is_never_markup(tmp_path: Path) -> None:
    hostile = {
        "model": "<script>x</script>",
        "control": "\u202eevil",
        "steps": "<b>",
        "loss_last": float("nan"),
        "retrieval": [],
    }
    run(tmp_path, "a" * 16, {"state": "<img src=x>", "result": hostile})
    run(tmp_path, "b" * 16, "[" * 100_000)
    run(tmp_path, "c" * 16, {"result": 5})
    page = runs_page.render(tmp_path, "outcome.json").decode()
    assert "<script" not in page
    assert "<img" not in page
    assert "\u202e" not in page
    assert "nan" not in page
    assert page.count("<tr>") == 4
