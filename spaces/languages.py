"""Languages by their two-letter code, as XTREME uses them.

``LANGUAGES`` gives the ISO 639-3 code and the English name. Where the two-letter code stands for a
macrolanguage, the three-letter code is that of the individual language the data sets hold
(Mandarin, Iranian Persian, Coastal Swahili, Standard Malay), which is what Tatoeba's files use.
"""

from __future__ import annotations

from typing import Any

from spaces.errors import UnknownNameError

LANGUAGES: dict[str, tuple[str, str]] = {
    "af": ("afr", "Afrikaans"),
    "ar": ("ara", "Arabic"),
    "az": ("aze", "Azerbaijani"),
    "bg": ("bul", "Bulgarian"),
    "bn": ("ben", "Bengali"),
    "de": ("deu", "German"),
    "el": ("ell", "Greek"),
    "en": ("eng", "English"),
    "es": ("spa", "Spanish"),
    "et": ("est", "Estonian"),
    "eu": ("eus", "Basque"),
    "fa": ("pes", "Persian"),
    "fi": ("fin", "Finnish"),
    "fr": ("fra", "French"),
    "gu": ("guj", "Gujarati"),
    "ha": ("hau", "Hausa"),
    "he": ("heb", "Hebrew"),
    "hi": ("hin", "Hindi"),
    "ht": ("hat", "Haitian"),
    "hu": ("hun", "Hungarian"),
    "id": ("ind", "Indonesian"),
    "it": ("ita", "Italian"),
    "ja": ("jpn", "Japanese"),
    "jv": ("jav", "Javanese"),
    "ka": ("kat", "Georgian"),
    "kk": ("kaz", "Kazakh"),
    "ko": ("kor", "Korean"),
    "lt": ("lit", "Lithuanian"),
    "ml": ("mal", "Malayalam"),
    "mr": ("mar", "Marathi"),
    "ms": ("zsm", "Malay"),
    "my": ("mya", "Burmese"),
    "nl": ("nld", "Dutch"),
    "pa": ("pan", "Punjabi"),
    "pl": ("pol", "Polish"),
    "pt": ("por", "Portuguese"),
    "qu": ("que", "Quechua"),
    "ro": ("ron", "Romanian"),
    "ru": ("rus", "Russian"),
    "sw": ("swh", "Swahili"),
    "ta": ("tam", "Tamil"),
    "te": ("tel", "Telugu"),
    "th": ("tha", "Thai"),
    "tl": ("tgl", "Tagalog"),
    "tr": ("tur", "Turkish"),
    "uk": ("ukr", "Ukrainian"),
    "ur": ("urd", "Urdu"),
    "vi": ("vie", "Vietnamese"),
    "wo": ("wol", "Wolof"),
    "yo": ("yor", "Yoruba"),
    "zh": ("cmn", "Chinese"),
}


def expand(value: Any, language: str) -> Any:
    """Replace the language placeholders in a text, or in every text of a list or mapping.

    Args:
        value: A text with ``{lang}``, ``{lang3}``, ``{lang_name}`` or ``{lang_name_lower}``, a list
            or mapping of such, or anything else, which is returned as it is.
        language: The two-letter code. A code outside ``LANGUAGES`` may be used wherever ``{lang}``
            alone is asked for.

    Raises:
        UnknownNameError: Another placeholder is used with a code that ``LANGUAGES`` lacks.

    >>> expand("tatoeba.{lang3}-eng.{lang3}", "zh")
    'tatoeba.cmn-eng.cmn'
    """
    if isinstance(value, str):
        text = value.replace("{lang}", language)
        if "{lang" not in text:
            return text
        if language not in LANGUAGES:
            raise UnknownNameError("language", language, LANGUAGES)
        iso3, name = LANGUAGES[language]
        text = text.replace("{lang3}", iso3).replace("{lang_name}", name)
        return text.replace("{lang_name_lower}", name.lower())
    if isinstance(value, list | tuple):
        return type(value)(expand(member, language) for member in value)
    if isinstance(value, dict):
        return {key: expand(member, language) for key, member in value.items()}
    return value
