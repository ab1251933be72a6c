"""What callers say when they were misunderstood or not heard, and what only sounds like it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunktrace.voice.corrections import asks_if_heard, is_correction, languages

CORRECTIONS = {
    "en": [
        "No, I said Tuesday.",
        "no no, I said THURSDAY",
        "No, sorry, I meant Boston.",
        "Nope. I said fifteen, not fifty.",
        "That's not what I said!",
        "That\u2019s not what I meant",
        "I said Tuesday, not Thursday",
        "No, not Austin but Boston",
        "You misunderstood me",
        "You got that wrong, it's with a K",
        "I didn't say that",
        "No, my name is Miller with two L",
        "No, that's wrong.",
        "No, it's B as in Bravo, not D",
        "Let me repeat that",
    ],
    "de": [
        "Nein, ich habe Dienstag gesagt.",
        "Nein, nein, ich sagte Donnerstag",
        "Nein, ich meinte Köln.",
        "Das habe ich nicht gesagt",
        "Sie haben mich falsch verstanden",
        "Nein, nicht Hamburg, sondern Homburg",
    ],
    "es": [
        "No, dije martes.",
        "No, no, yo dije jueves",
        "Eso no es lo que dije",
        "No, me llamo Ana",
    ],
    "fr": [
        "Non, j'ai dit mardi.",
        "Non, non, je voulais dire Lyon",
        "Ce n'est pas ce que j'ai dit",
        "Vous m\u2019avez mal compris",
    ],
    "pt": ["Não, eu disse terça.", "Não foi isso que eu disse", "Você entendeu errado"],
    "it": ["No, ho detto martedì.", "No, no, volevo dire Torino", "Non è quello che ho detto"],
    "nl": ["Nee, ik zei dinsdag.", "Nee nee, ik bedoel Utrecht", "Dat heb ik niet gezegd"],
    "ja": ["いえ、違います。火曜日です", "火曜日と言ったんです", "そうじゃなくて、木曜日です"],
    "hi": ["नहीं, मैंने मंगलवार कहा", "मैंने ऐसा नहीं कहा", "आपने गलत सुना"],
}
NO_CORRECTIONS = {
    "en": [
        "no",
        "No, thanks.",
        "No, that's fine.",
        "no that's all, thank you",
        "No, not really.",
        "no, not yet",
        "No, I don't have one.",
        "No, it's okay",
        "Yes, as I said on the phone yesterday",
        "I know",
        "Nothing else, no",
        "I said yes",
        "No problem, I'll wait",
        "My name is Miller",
        "The wrong number was on the bill",
        "Can you say that again?",
    ],
    "de": ["nein", "Nein, danke.", "Nein, das passt.", "Nein, das war alles", "Nicht so schnell"],
    "es": ["no", "No, gracias.", "No, está bien", "No, eso es todo", "No tengo"],
    "fr": ["non", "Non merci.", "Non, c'est bon", "Non, c'est tout", "Je ne sais pas"],
    "pt": ["não", "Não, obrigado.", "Não, está bom", "Não, é só isso"],
    "it": ["no", "No, grazie.", "No, va bene", "No, è tutto"],
    "nl": ["nee", "Nee, dank u.", "Nee, dat is goed", "Nee, dat was alles"],
    "ja": ["いいえ", "いいえ、結構です", "大丈夫です", "わかりました"],
    "hi": ["नहीं", "नहीं, धन्यवाद", "नहीं, ठीक है", "जी हाँ"],
}
UNHEARD = {
    "en": ["Can you hear me?", "Hello? Hello?", "Are you still there?", "I can't hear you"],
    "de": ["Hören Sie mich?", "Hallo? Hallo?", "Sind Sie noch da?", "Ich höre nichts"],
    "es": ["¿Me oye?", "¿Hola? ¿Hola?", "¿Hay alguien ahí?"],
    "fr": ["Vous m'entendez ?", "Allô ? Allô ?", "Vous êtes là ?", "Je n'entends rien"],
    "pt": ["Você está me ouvindo?", "Alô? Alô?", "Tem alguém aí?"],
    "it": ["Mi sente?", "Pronto? Pronto?", "C'è qualcuno?"],
    "nl": ["Hoort u mij?", "Hallo? Hallo?", "Bent u er nog?"],
    "ja": ["聞こえますか\uff1f", "もしもし、もしもし", "もしもし、聞こえません"],
    "hi": ["क्या आप मुझे सुन सकते हैं?", "हैलो? हैलो?", "आवाज़ आ रही है?"],
}
HEARD = {
    "en": ["Is there a table for two?", "Hello, this is Ann", "I hear there is a discount"],
    "de": ["Ist da noch ein Termin frei?", "Ich höre gern Musik"],
    "es": ["El documento está ahí", "Hola, buenos días"],
    "fr": ["Vous êtes la secrétaire ?", "Allô, bonjour"],
    "pt": ["Olá, bom dia"],
    "it": ["Pronto, buongiorno"],
    "nl": ["Hallo, goedemorgen"],
    "ja": ["もしもし、予約したいのですが"],
    "hi": ["हैलो, नमस्ते"],
}
GREETINGS = {
    "en": "Hello?", "de": "Hallo?", "es": "¿Hola?", "fr": "Allô ?", "pt": "Alô?", "it": "Pronto?",
    "nl": "Hallo?", "ja": "もしもし\uff1f", "hi": "हैलो?",
}  # fmt: skip


def spoken(table):
    return [
        pytest.param(language, text, id=f"{language}-{text}")
        for language, texts in table.items()
        for text in texts
    ]


def test_every_language_is_tested():
    """A list that nobody has checked against what people say does not stand in the data."""
    tables = (CORRECTIONS, NO_CORRECTIONS, UNHEARD, HEARD, GREETINGS)
    assert all(set(table) == languages() for table in tables)


@pytest.mark.parametrize("language, text", spoken(CORRECTIONS))
def test_a_correction_is_one_in_its_language_and_where_that_is_not_known(language, text):
    """Case, punctuation and accents do not matter."""
    assert is_correction(text, None, language)
    assert is_correction(text, "before", None)
    assert is_correction(text.upper(), None, f"{language}-XX")


@pytest.mark.parametrize("language, text", spoken(NO_CORRECTIONS))
def test_an_answer_that_says_no_is_no_correction(language, text):
    """Neither in its own language nor as if it were any other."""
    assert not is_correction(text, "before", language)
    assert not is_correction(text, "before", None)


@pytest.mark.parametrize("language, text", spoken(UNHEARD))
def test_a_caller_who_asks_whether_anybody_hears_him(language, text):
    """The question is known in its language and where that is not known."""
    assert asks_if_heard(text, None, language)
    assert asks_if_heard(text, None, None)
    assert not is_correction(text, None, language)


@pytest.mark.parametrize("language, text", spoken(HEARD))
def test_what_only_sounds_like_it_is_not_such_a_question(language, text):
    """Greetings and sentences with the same words are none."""
    assert not asks_if_heard(text, "before", language)


@pytest.mark.parametrize("language, text", GREETINGS.items())
def test_a_greeting_is_a_question_only_when_it_comes_again(language, text):
    """The first "hello?" of a call greets; a later one wonders whether anybody is there."""
    assert not asks_if_heard(text, None, language)
    assert asks_if_heard(text, "before", language)


def test_a_language_without_phrases_has_no_corrections():
    """What is not known is not guessed by the phrases of others."""
    assert not is_correction("No, I said Tuesday", None, "sv")
    assert is_correction("No, I said Tuesday", None, "multi")
    assert is_correction("No, I said Tuesday", None, "en_US")


@given(st.text(max_size=200), st.none() | st.text(max_size=20), st.none() | st.text(max_size=5))
def test_any_text_is_judged(text, previous, language):
    """Whatever a recogniser gives, the rules answer."""
    assert is_correction(text, previous, language) in (True, False)
    assert asks_if_heard(text, previous, language) in (True, False)
