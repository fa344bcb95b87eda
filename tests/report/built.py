"""What is asked of every report that was built: of the synthetic one and of that of the real data."""

import functools
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

from report import layout, prose

FIRST_LOAD = 3e6  # bytes, before anybody scrolls
ABSTRACT = 200  # words
PAGES = ("report.html", "supplement.html")


def check_layout(folder):
    """The PDFs keep the rules of the paper."""
    assert layout.faults(layout.measured(folder)) == []


def check_prose(folder):
    """The text reads like a person's, and the abstract is one."""
    abstract = next(iter(prose.paragraphs((folder / "report.html").read_text())))[1]
    assert len(abstract.split()) <= ABSTRACT, abstract
    assert {name: prose.faults((folder / name).read_text()) for name in PAGES} == dict.fromkeys(
        PAGES, []
    )


def check_first_load(folder, browser):
    """A page comes quickly, and asks nobody else."""
    for name in PAGES:
        loaded = first_load(folder, name, browser)
        assert sum(loaded.values()) <= FIRST_LOAD, loaded


def first_load(folder, name, browser):
    """The bytes of each file that a browser asks for before anybody scrolls, ``{address: bytes}``; an address
    elsewhere is an error."""
    handler = functools.partial(Quiet, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        here = f"http://127.0.0.1:{server.server_port}/"
        opened, responses = browser.new_page(viewport={"width": 1280, "height": 800}), []
        opened.on("response", lambda response: responses.append(response))  # it marks what it calls
        opened.goto(here + name, wait_until="networkidle")
        loaded = {response.url: len(response.body()) for response in responses}
        opened.close()
        server.shutdown()
    assert [url for url in loaded if not url.startswith(here)] == []
    return loaded


class Quiet(SimpleHTTPRequestHandler):
    """A server that keeps no log."""

    def log_message(self, *_):
        pass
