"""The words of a data check: a sentence for each kind of finding, and the whole report as text.

In comes a `CorpusReport`; out come sentences: what was found, and after a semicolon what to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minikws.data.check import REASONS, CorpusReport, Finding, WordFacts
from minikws.errors import nearest

SHOWN = 3  # examples printed of a finding; --json holds all

# kind -> (what was found, what to do). Fields: `clips` and `files` are counts with their noun,
# `words` a list; the others are a finding's facts.
SENTENCES = {
    "unreadable": (
        "{files} cannot be read",
        "repair, convert or delete them",
    ),
    "not_in_a_folder": (
        "{files} beside the words' folders {are} not used",
        "move each into the folder of its word",
    ),
    "too_deep": (
        "{files} more than one folder deep {are} not used",
        "the layout is WORD/SPEAKER_nohash_TAKE.wav",
    ),
    "other_format": (
        "{files} of another format than WAV {are} not used",
        "convert each with: ffmpeg -i IN -ac 1 -ar 16000 -c:a pcm_s16le OUT.wav",
    ),
    "no_sound": (
        "{clips} of {words} {hold} no sound at all (every sample is zero, or there is none)",
        "delete them: the model would learn that silence is the word",
    ),
    "quiet": (
        "{clips} of {words} {are} nearly silent",
        "listen to them, and delete those without a word",
    ),
    "missing_word": (
        "there is no clip of {words}",
        "record some, or check the spelling: {hint}",
    ),
    "no_training": (
        "{words} {have} no clip in the training partition",
        "as a wanted word it cannot be learned: record more speakers (a speaker's name decides "
        "the partition)",
    ),
    "not_measured": (
        "{words} {have} no clip in the validation or the testing partition",
        "the accuracy cannot be measured: record more speakers",
    ),
    "few_clips": (
        "{words} {have} fewer than 10 clips ({numbers})",
        "record more: below some dozens a model learns the recordings, not the word",
    ),
    "unbalanced": (
        "{most} has {n_most} training clips and {least} has {n_least}",
        "the rarer word will be missed more often; record more of it",
    ),
    "no_other_words": (
        "there is no other word than the wanted ones, so the label _unknown_ has no clip",
        "add folders of other words, or train with --no-unknown",
    ),
    "copy_in_two_words": (
        "{copies} lie in the folders of different words ({words})",
        "listen, and keep each in its own",
    ),
    "copy_across_partitions": (
        "{copies} lie in different partitions, so the model is tested on what it learned",
        "keep one of each",
    ),
    "copy": (
        "{copies} lie more than once in one partition",
        "keep one of each: a copy adds nothing",
    ),
    "alike": (
        "{clips} of validation and test {sound} nearly like one of another partition "
        "({percent} % of them)",
        "{trust}name copies, such as pitch-shifted ones, after the speaker of their original, so "
        "that they stay in one partition",
    ),
    "no_speaker": (
        "{clips} {have} no speaker in the name, so that each counts as a speaker of its own and "
        "one voice may stand in training and in test",
        "name them SPEAKER_nohash_TAKE.wav, else the test is too kind",
    ),
    "few_speakers": (
        "{words} {are} spoken by one or two speakers",
        "the model will know these voices only, and validation and test may stay empty; record "
        "other people",
    ),
    "level": (
        "the clips of {words} have a level of {level_db:.0f} dB and the other words "
        "{others_db:.0f} dB (median), so that loudness alone tells them apart",
        "record them alike, or change the gain of their clips by {gain:+.0f} dB",
    ),
    "rate_tells_word": (
        "all clips of {words} have another rate ({rates}) than the other words, so that the "
        "missing treble tells them apart",
        "record all words at one rate; {wanted_hz} Hz is the model's",
    ),
    "other_rate": (
        "{clips} {have} another rate than {wanted_hz} Hz ({rates})",
        "they are resampled when they are read, which needs soxr; --sample-rate sets the model's",
    ),
    "long": (
        "{clips} of {words} {are} longer than {clip_ms:g} ms (up to {longest_ms:.0f}), and only "
        "the first {clip_ms:g} ms are used",
        "cut them to the word, or choose a longer --clip-duration-ms",
    ),
    "short": (
        "{clips} of {words} {are} shorter than half of {clip_ms:g} ms (down to {shortest_ms:.0f})",
        "zeros are added at their end; see whether the word was cut off",
    ),
    "clipped": (
        "{clips} of {words} {are} clipped (16 samples or more at full scale)",
        "record with less gain; a few do no harm",
    ),
    "silence_folder": (
        "the folder 'silence' is a word like any other, beside the label _silence_ that is made "
        "from background noise",
        "train with --no-silence, or rename the folder to _background_noise_",
    ),
    "noise_folder": (
        "{words} would be used as a word",
        "if it holds background noise, rename the folder to _background_noise_",
    ),
    "no_background": (
        "there is no background noise, from which the label _silence_ is made",
        "put recordings of the room into _background_noise_/, or train with --no-silence",
    ),
    "short_background": (
        "{files} of background noise {are} not longer than a clip of {clip_ms:g} ms",
        "record a minute of each",
    ),
    "background_rate": (
        "{files} of background noise {have} another rate than {wanted_hz} Hz",
        "they are resampled when they are read, which needs soxr",
    ),
    "little_background": (
        "there are only {seconds:.0f} s of background noise",
        "record some minutes of the rooms in which the model will listen",
    ),
}


def sentence(finding: Finding) -> str:
    """Return what was found, and after a semicolon what to do."""
    what, todo = SENTENCES[finding.kind]
    return f"{what}; {todo}".format(**_fields(finding))


def examples(finding: Finding) -> Iterator[str]:
    """Yield a line for each file of a finding: with its reason, or with its copies."""
    if "reasons" in finding.facts:
        yield from finding.facts["reasons"].values()
    elif "groups" in finding.facts:
        sign = " ~ " if finding.kind == "alike" else " = "
        yield from (sign.join(group) for group in finding.facts["groups"])
    else:
        yield from finding.files


def report_text(report: CorpusReport) -> str:
    """Return the whole report: a table of the words, then faults, notes and the uncertainty."""
    words, speakers = _count(len(report.words), "word"), _count(report.n_speakers, "speaker")
    lines = [
        f"{report.folder}: {_count(report.n_used, 'clip')} of {words} by {speakers}",
        f"found {_count(report.n_found, 'sound file')}, used {report.n_used}"
        + "".join(f", skipped {n} {REASONS[reason]}" for reason, n in report.skipped.items()),
        f"background noise: {_count(report.n_background, 'file')}, "
        f"{report.background_minutes:.1f} minutes",
        "",
        *_table(report),
    ]
    for title, findings in (("fault", report.faults), ("note", report.notes)):
        for finding in findings:
            lines += ["", f"{title}: {sentence(finding)}"]
            shown = list(examples(finding))
            limit = SHOWN
            if finding.kind == "unreadable":
                limit = len(shown)  # each has its own reason
            elif len(shown) == report.n_used:
                shown = []  # all of them: the sentence says enough
            lines += [f"    {line}" for line in shown[:limit]]
            if len(shown) > limit:
                lines.append(f"    … and {len(shown) - limit} more (--json lists all)")
    return "\n".join([*lines, "", _verdict(report)])


def report_record(report: CorpusReport) -> dict[str, Any]:
    """Return the report as plain lists and dictionaries, for JSON."""
    return {
        "folder": str(report.folder),
        "found": report.n_found,
        "used": report.n_used,
        "skipped": report.skipped,
        "speakers": report.n_speakers,
        "words": [
            {
                "word": word.word,
                "clips": word.n_clips,
                "speakers": word.n_speakers,
                **word.n_in,
                "rms_db": round(word.rms_db, 1),
                "peak_db": round(word.peak_db, 1),
                "clipped": word.n_clipped,
            }
            for word in report.words
        ],
        "background": {
            "files": report.n_background,
            "minutes": round(report.background_minutes, 2),
        },
        "test_count": report.n_test,
        "margin_points": round(report.margin_points, 1),
        "faults": len(report.faults),
        "notes": len(report.notes),
        "findings": [
            {
                "kind": finding.kind,
                "fault": finding.is_fault,
                "message": sentence(finding),
                "files": list(finding.files),
                "words": list(finding.words),
                **finding.facts,
            }
            for finding in report.findings
        ],
    }


def _verdict(report: CorpusReport) -> str:
    whose = ", ".join(report.wanted_words) if report.wanted_words else "all words"
    if report.n_test:
        margin = (
            f"an accuracy measured on the {_count(report.n_test, 'test clip')} of {whose} is "
            f"uncertain by ±{report.margin_points:.1f} points (95 %, at 80 % right)"
        )
    else:
        margin = f"no accuracy can be measured: there is no test clip of {whose}"
    return f"{_count(len(report.faults), 'fault')}, {_count(len(report.notes), 'note')}; {margin}"


def _table(report: CorpusReport) -> list[str]:
    """Return a line for each word; with wanted words given, the others are one line."""
    chosen = [w for w in report.words if not report.wanted_words or w.word in report.wanted_words]
    others = [w for w in report.words if w not in chosen]
    header = ("word", "clips", "speakers", "training", "validation", "testing", "level", "clipped")
    rows = [header, *(_row(word) for word in chosen)]
    if others:
        total = [sum(w.n_in[p] for w in others) for p in ("training", "validation", "testing")]
        n_clips, n_clipped = sum(w.n_clips for w in others), sum(w.n_clipped for w in others)
        name = f"({_count(len(others), 'other word')})"
        rows.append((name, str(n_clips), "", *map(str, total), "", str(n_clipped)))
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    return [
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)),
            ]
        ).rstrip()
        for row in rows
    ]


def _row(word: WordFacts) -> tuple[str, ...]:
    counts = (word.n_clips, word.n_speakers, *word.n_in.values())
    return (word.word, *map(str, counts), f"{word.rms_db:.0f} dB", str(word.n_clipped))


def _fields(finding: Finding) -> dict[str, Any]:
    """Return what a sentence may name: counts with their nouns, lists of words, the facts."""
    facts = finding.facts
    number = len(finding.files or finding.words)
    fields: dict[str, Any] = {
        "are": "is" if number == 1 else "are",
        "have": "has" if number == 1 else "have",
        "hold": "holds" if number == 1 else "hold",
        "sound": "sounds" if number == 1 else "sound",
        "clips": _count(len(finding.files), "clip"),
        "files": _count(len(finding.files), "file"),
        "words": _listed(finding.words),
        **facts,
    }
    if "groups" in facts:
        fields["copies"] = _count(len(facts["groups"]), "recording")
    if "rates" in facts:
        fields["rates"] = ", ".join(f"{n} of {hz} Hz" for hz, n in sorted(facts["rates"].items()))
    if finding.kind == "few_clips":
        fields["numbers"] = ", ".join(f"{word} {n}" for word, n in facts["counts"].items())
        fields["words"] = _count(len(finding.words), "word")
    elif finding.kind == "unbalanced":
        fields["most"], fields["least"] = finding.words
    elif finding.kind == "level":
        fields["gain"] = facts["others_db"] - facts["level_db"]
    elif finding.kind == "missing_word":
        fields["hint"] = nearest(finding.words[0], facts["known"])
    elif finding.kind == "alike":
        fields["percent"] = round(100 * facts["share"])
        fields["trust"] = "do not trust validation and test; " if finding.is_fault else ""
    return fields


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _listed(words: tuple[str, ...]) -> str:
    """Return words in a row, no more than eight of them."""
    if len(words) > 8:
        return ", ".join(words[:7]) + f" and {len(words) - 7} others"
    return ", ".join(words)
