#!/usr/bin/env python3
"""Watches a run in progress in a real browser: `cohort watch` must show it as it grows, without a reload, without a word on the console and
without moving whoever reads there; and say when nobody answers any more. Wants playwright, and Debian's chromium.

usage: scripts/oracles/check_watch.py [build/cohort [FOLDER for the screenshots]]
"""

import pathlib
import subprocess
import sys
import tempfile
import time

from playwright.sync_api import sync_playwright

CONFIG = """run: {name: live, threads: 1, dir: runs}
model:
  init: {hidden_size: 64, intermediate_size: 128, num_layers: 2, num_heads: 2, num_kv_heads: 1, max_positions: 64}
  dtype: float32
data: {task: {name: addition, eval_size: 64}, max_prompt_length: 16}
reward:
  - {name: exact}
  - {name: soft_overlong, weight: 0.2, max_length: 8, buffer: 4, unit: characters}
rollout: {num_generations: 8, max_completion_length: 8, eval_temperature: 1.0}
optim: {learning_rate: 1.0e-3}
trainer: {max_steps: 100000, prompts_per_step: 64, eval_steps: 20, save_steps: 20, warm_start: {steps: 40}}
log: {completions_steps: 5}
"""
SIZES = {"desk": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}


class Checks:
    def __init__(self):
        self.failed = 0

    def __call__(self, what, holds, detail=""):
        print(f"{'ok    ' if holds else 'FAILED'} {what}{f': {detail}' if detail else ''}", flush=True)
        self.failed += not holds


def lines_of(run):
    file = run / "metrics.jsonl"
    return file.read_text().count("\n") if file.exists() else 0


def wait_for(what, holds, seconds=120):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"{what} within {seconds} s"
        time.sleep(0.2)


def last_step(page):
    cells = page.locator("#summary tbody tr:first-child td").all_inner_texts()
    return int(cells[1]) if len(cells) > 1 and cells[1].isdigit() else 0


def main():
    cohort = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/cohort").resolve()
    shots = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp()).resolve()
    shots.mkdir(parents=True, exist_ok=True)
    check = Checks()
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        (work / "live.yaml").write_text(CONFIG)
        run = work / "runs/live"
        watch = subprocess.Popen([cohort, "watch", "runs/live"], cwd=work, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        train = None
        try:
            address = watch.stdout.readline().strip()
            with sync_playwright() as play:
                browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
                said, asked = [], []
                page = browser.new_page(viewport=SIZES["desk"])
                page.on("console", lambda message: said.append(message.text))
                page.on("pageerror", lambda error: said.append(str(error)))
                page.on("request", lambda request: asked.append(request.url))
                page.goto(address)
                check("before the run there is a page that waits", "Waiting" in page.locator("#live").inner_text(), page.locator("#live").inner_text())
                page.screenshot(path=shots / "watch_waiting.png")

                train = subprocess.Popen([cohort, "train", "live.yaml", "--quiet"], cwd=work, stdout=subprocess.DEVNULL)
                wait_for("a curve", lambda: page.locator("#charts svg").count() > 0)
                check("it shows the run once there is a step", last_step(page) >= 1, f"step {last_step(page)}")
                check("and says so", "Live" in page.locator("#live").inner_text(), page.locator("#live").inner_text())

                page.locator("#charts svg").nth(2).focus()
                page.select_option("#any-metric", "grad_norm")
                seen = [last_step(page)]
                while len(seen) < 4:
                    wait_for("a later step", lambda: last_step(page) > seen[-1])
                    seen.append(last_step(page))
                check("the page follows without a reload", seen == sorted(set(seen)), f"steps {seen}")
                check("the focus stays on its curve", page.locator("#charts figure:nth-child(3) svg:focus").count() == 1)
                check("the chosen metric stays", page.input_value("#any-metric") == "grad_norm")

                wait_for("completions", lambda: page.locator("#rows li").count() > 0, 60)
                steps = page.locator("select[name=step] option").all_inner_texts()
                page.select_option("select[name=step]", steps[1])
                before, at = page.locator("#rows li").first.inner_html(), last_step(page)  # of each step fewer are shown as steps become more
                best = page.locator("#rows li").first  # others below it may be left out of a later page, which then ends sooner
                best.scroll_into_view_if_needed()
                place = best.bounding_box()["y"]
                wait_for("a later step", lambda: last_step(page) > at)
                check("the best completion of a step stays", page.locator("#rows li").first.inner_html() == before)
                moved = page.locator("#rows li").first.bounding_box()["y"] - place
                check("and does not move", abs(moved) < 2, f"{moved} px")

                for size, viewport in SIZES.items():
                    for scheme in ("light", "dark"):
                        page.set_viewport_size(viewport)
                        page.emulate_media(color_scheme=scheme)
                        page.keyboard.press("Control+Home")
                        page.screenshot(path=shots / f"watch_{size}_{scheme}.png", full_page=True)
                    page.mouse.move(5, 5)
                    page.mouse.wheel(500, 0)
                    check(f"fits the width of a {size}", page.locator("body").bounding_box()["x"] == 0)
                elsewhere = [url for url in asked if not url.startswith(address.split("?")[0])]
                check("nothing is asked of anyone else", not elsewhere, str(elsewhere[:1]))
                # The page's own rules forbid eval, so that all of this is asked of the browser, not of the page.
                check("nothing on the console", not said, "; ".join(said[:3]))

                watch.terminate()
                watch.wait(10)
                wait_for("the message", lambda: "does not answer" in page.locator("#live").inner_text(), 30)
                check("the page says when nobody answers", True, page.locator("#live").inner_text())
                check("and keeps what it has", last_step(page) >= seen[-1])
                page.set_viewport_size(SIZES["desk"])
                page.screenshot(path=shots / "watch_gone.png")
                browser.close()
        finally:
            for process in (train, watch):
                if process and process.poll() is None:
                    process.kill()
                    process.wait()
    print(f"{check.failed} failed; screenshots in {shots}")
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
