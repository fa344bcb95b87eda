"""What is asked of every report that was built: of the synthetic one and of that of the real data."""

import functools
import re
import threading
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

from report import layout, prose

FIRST_LOAD = 3e6  # bytes, before anybody scrolls
ABSTRACT = 200  # words
PAGES = ("report.html", "supplement.html")
INJECTED = """() => {
    for (const made of ["<img src=x: onerror='window.hacked = 1'>", "<a href='javascript:window.hacked = 2'>a</a>"])
        document.body.insertAdjacentHTML("beforeend", made);
    document.body.lastElementChild.click();
    const script = document.createElement("script");
    script.textContent = "window.hacked = 3";
    document.body.append(script);
}"""


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


def check_policy(folder, browser):
    """Every page has a policy that it keeps, opened from the file system, and runs nothing that is put into it."""
    for page in sorted(folder.rglob("*.html")):
        assert offences(page.read_text()) == [], page
        tab, said = browser.new_page(), []
        tab.on("console", lambda message, said=said: said.append(message.text))
        tab.goto(page.as_uri(), wait_until="load")
        assert said == [], page
        tab.evaluate(INJECTED)
        tab.wait_for_timeout(100)
        assert tab.evaluate("window.hacked") is None, page
        tab.close()


def offences(html):
    """What a page has that its policy would forbid, and the policy where it is none."""
    page = Offences()
    page.feed(html)
    page.close()
    policy = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)"', html[:4000])
    strict = policy and policy[1].startswith("default-src 'none'; ") and "unsafe" not in policy[1]
    return page.found + ([] if strict else [policy and policy[1]])


class Offences(HTMLParser):
    """Reads a page and keeps its scripts, handlers of events, attributes of style, and addresses that run."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        if tag == "script" and "src" not in named:
            self.found.append(tag)
        for name, value in attributes:
            if name == "style" or name.startswith("on") or (value or "").startswith("javascript:"):
                self.found.append((tag, name, value))


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
