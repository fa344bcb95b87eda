"""Public archives, downloaded once and checked."""

import queue
import sys
import threading
from pathlib import Path

import pooch
import requests

from xai_utils.data import DataError

PROBE_SECONDS, READ_SECONDS = 10, 30
USER_AGENT = {"User-Agent": "xai-utils (a reproducible report on visual explanations)"}


def fetch(url, checksum, folder, by_hand):
    """Download a file into ``folder`` and check it; returns its path.

    Raises OSError (which includes the errors of requests) when it cannot be had; without a network
    within PROBE_SECONDS. A download that breaks off is retried. Raises :class:`DataError` for another
    file than that of the checksum (``"sha256:…"``), which says how to give it ``by_hand``.
    """
    _probe(url)
    name = url.rsplit("/", 1)[1]
    known = {"registry": {name: checksum}, "urls": {name: url}}
    fetcher = pooch.create(path=folder, base_url="", retry_if_failed=3, **known)
    downloader = pooch.HTTPDownloader(
        progressbar=sys.stderr.isatty(), headers=USER_AGENT, timeout=READ_SECONDS
    )
    try:
        return Path(fetcher.fetch(name, downloader=downloader))
    except ValueError as error:  # pooch's word for another checksum
        raise DataError(
            f"What {url} sends is not the archive that is expected: download it by hand and {by_hand}"
        ) from error


def _probe(url):
    """Ask for the head of a file. In a thread, because looking up a name has no timeout."""
    answers = queue.Queue()

    def ask():
        try:
            options = {"headers": USER_AGENT, "timeout": PROBE_SECONDS, "allow_redirects": True}
            requests.head(url, **options).raise_for_status()
            answers.put(None)
        except OSError as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        error = answers.get(timeout=PROBE_SECONDS)
    except queue.Empty:
        raise TimeoutError(f"no answer within {PROBE_SECONDS} seconds") from None
    if error is not None:
        raise error
