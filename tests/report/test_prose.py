"""What reads like a machine is found, and its near misses are left alone."""

import pytest

from report import prose

TESTED = "On 128 test signals the network tells them apart"


def rules(text):
    """The rules that a paragraph breaks."""
    return [fault.split(": “")[0] for fault in prose.faults(f"<p>{text}</p>")]


def words(count):
    return " ".join(["Word", *["word"] * (count - 1)])


def test_a_sentence_has_at_most_45_words():
    assert rules(f"{words(45)}.") == []
    assert rules(f"{words(46)}.") == ["Long sentence (46 words)"]
    assert rules(f"{words(30)}. {words(16)}.".replace(". Word", ". Then word")) == []


def test_citations_are_no_words_and_numbers_and_formulas_are():
    formula = "<math><mi>x</mi><mo>+</mo><mn>1</mn><annotation>x + 1 + 2</annotation></math>"
    assert rules(f"{words(45)} [3], [4, 5] [6]–[8].") == []
    assert rules(f"{words(44)} {formula}.") == []
    assert rules(f"{words(44)} {formula} 12.") == ["Long sentence (46 words)"]


def test_the_end_of_a_formula_can_end_a_sentence():
    formula = '<math display="block"><mi>x</mi><annotation>x = 1.</annotation></math>'
    assert rules(f"{words(40)} {formula} Then {words(40)}.") == []


@pytest.mark.parametrize(
    "one",
    [
        "As Fig. 3 shows, it drops.",
        "In Figs. 3 and 4 it drops (see Sec. 5).",
        "Others do, e.g. Grad-CAM, i.e. CAM with gradients.",
        "Kather et al. The tiles, CAM vs. LIME, cf. Table 2.",
        "It was found by R. R. Selvaraju.",
        "A share of 0.25 with p = 0.03 remains.",
        "There are two: Drop and Increase.",
        "Version 1.2 of tf.explain does it.",
    ],
)
def test_these_are_one_sentence(one):
    assert prose.sentences(one) == [one]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("It drops.", "Then it rises."),
        ("It is p = 0.03.", "12 tiles were taken."),
        ("Does it?", "“No,” they say."),
        ("They say “no.”", "Nobody asks (again.)"),
        ("It is (nearly) MATH.", "(Nobody asks.)"),
        ("The signal is 1-D.", "So is MNIST-1D."),
    ],
)
def test_these_are_two_sentences(first, second):
    assert prose.sentences(f"{first} {second}") == [first, second]


@pytest.mark.parametrize(
    "text",
    [
        "We score LIME, SHAP, RISE and CAM.",
        "We score LIME, SHAP, RISE, and CAM.",
        "On tiles, LIME, SHAP, RISE and CAM win.",
        "Where it is flat, LIME, SHAP, RISE and CAM win.",
        "The maps, which are flat, show edges, corners, lines and dots.",
        "The map is read, the pixels are sorted by what it says there, they are hidden, and the rest counts.",
        "It has four: LIME (0.1, 0.2), SHAP (0.3), RISE (0.4) and CAM (0.5).",
        "We score one; two; three; four.",
        "It reads the map as it stands there; then it sorts the pixels by what it says; it hides the "
        "larger part of them; it asks again what it sees; and it is done.",
        "Of 1,000 tiles, 10,000 pixels and 3 maps nothing remains.",
    ],
)
def test_these_are_no_long_lists(text):
    assert rules(text) == []


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("We score LIME, SHAP, RISE, SISE and CAM.", 5),
        ("We score LIME, SHAP, RISE, SISE, and CAM.", 5),
        ("LIME, SHAP, RISE, SISE, CAM or Grad-CAM wins.", 6),
        ("It has five: LIME (0.1), SHAP (0.2), RISE (0.3), SISE (0.4) and CAM (0.5).", 5),
        ("Some (LIME, SHAP, RISE, SISE and CAM) win.", 5),
        ("On tiles, LIME, SHAP, RISE, SISE and CAM win.", 5),
        ("They reach 91.2, 93.1, 90.8, 92.2 and 93.0 %.", 5),
        ("We score one; two; three; four; five.", 5),
        ("; ".join(["It hides the larger part of what it has been shown before"] * 6) + ".", 6),
    ],
)
def test_these_are_long_lists(text, count):
    found = rules(text)
    assert f"List of {count} items" in found


def test_sentences_that_begin_alike_are_found_only_beside_each_other():
    alike = "Same opening as the sentence before"
    assert rules("The map is flat. The map, however, is not.") == [alike]
    assert rules("The map is flat. It stays so. The map is not.") == []
    assert rules("The map is flat. The maps are not.") == []
    assert rules("Why? Why?") == []


def test_paragraphs_that_begin_alike_are_found_in_threes_and_within_a_section():
    flat, steep = "<p>The map is flat.</p>", "<p>A map is steep.</p>"
    (fault,) = prose.faults(f"{flat}<figure><p>The map.</p></figure>{flat}{flat}")
    assert fault == "Three paragraphs with the same opening: “The map is flat.”"
    assert prose.faults(flat + flat + steep + flat) == []
    assert prose.faults(f"{flat}{flat}<h2>Next</h2>{flat}") == []


@pytest.mark.parametrize(
    "claim",
    [
        "with p = 0.03",
        "with p &lt; 0.0001",
        "by [+0.02, +0.05]",
        "by [−0.02, +0.05]",
        "and it beats every control by 0.1",
        "and they beat every control by 0.1",
        "and the rest is undecided (0.1)",
    ],
)
def test_a_claim_names_its_network_and_its_sample_size(claim):
    network, size = "Claim without its network", "Claim without its sample size"
    assert rules(f"{TESTED} {claim}.") == []
    assert rules(f"The VGG-7 tells them apart (n = 128) {claim}.") == []
    assert rules(f"It tells them apart {claim}.") == [network, size]
    assert rules(f"The network tells Fig. 3 maps apart {claim}.") == [size]
    assert rules(f"On 128 signals it tells them apart {claim}.") == [network]


@pytest.mark.parametrize(
    "size",
    ["1,000\u00a0tiles", "12\u202fcorrectly classified mosaics", "3 test-set images", "n = 8"],
)
def test_these_are_sample_sizes(size):
    assert rules(f"For a CNN and {size} it is undecided.") == []


@pytest.mark.parametrize(
    "size", ["VGG-7 maps", "0.25 signals", "Table 2 maps", "25 % of tiles", "VOC 2007 photographs"]
)
def test_these_are_no_sample_sizes(size):
    assert rules(f"For a CNN and {size}, 0.1 is undecided.") == ["Claim without its sample size"]


def test_a_paragraph_without_a_claim_needs_neither():
    assert rules("It is undecided where no method beats every control.") == []
    assert rules("The map = 0 is flat, and Grad-CAM is ahead.") == []


def test_only_running_text_is_read():
    page = """
    <p class="back"><a href="report.pdf">PDF</a></p>
    <header><p class="author">Nobody</p>
      <div class="abstract"><div>Abstract</div><p>An abstract.</p></div><p class="date">Today</p></header>
    <nav><p>Contents</p></nav>
    <blockquote><p><strong>A</strong> note<br />in
      <a href="#a">two</a> lines.</p></blockquote>
    <figure><img src="a.svg" loading="lazy"><figcaption><p>Caption</p></figcaption></figure>
    <table><tbody><tr><td><p>Cell</p></td></tr></tbody></table>
    <h1>Section</h1><p>See&nbsp;this&#8239;[3].</p>
    <div id="refs"><div><p>Reference</p></div></div>
    """
    assert list(prose.paragraphs(page)) == [
        (0, "An abstract."),
        (0, "A note in two lines."),
        (1, "See this."),
    ]


def test_faults_quote_twelve_words():
    (fault,) = prose.faults(f"<p>{words(46)}.</p>")
    assert fault == f"Long sentence (46 words): “{words(12)} …”"


def test_a_page_with_faults_ends_in_an_error(tmp_path, monkeypatch, capsys):
    page = tmp_path / "report.html"
    monkeypatch.setattr("sys.argv", ["prose", str(page)])
    with pytest.raises(SystemExit, match="there is no"):
        prose.main()
    page.write_text("<p>It drops. Then it rises.</p>")
    with pytest.raises(SystemExit, match="0"):
        prose.main()
    page.write_text("<p>It drops here. It drops there.</p>")
    with pytest.raises(SystemExit, match="1"):
        prose.main()
    assert "Same opening as the sentence before: “It drops there.”" in capsys.readouterr().out
