"""What a volunteer reads on the card, in French, Arabic and English. ``{…}`` is filled in."""

from __future__ import annotations

from typing import Literal

Language = Literal["fr", "ar", "en"]
LANGUAGES: tuple[Language, ...] = ("fr", "ar", "en")

TEXTS: dict[str, dict[Language, str]] = {
    "title": {
        "fr": "Colibri : comment va cette sonde",
        "ar": "كوليبري: حالة هذا المسبار",
        "en": "Colibri: how this probe is doing",
    },
    "never": {
        "fr": "Cette carte n'a pas encore démarré dans un Raspberry Pi. Après le premier démarrage (deux minutes),"
        " ce fichier dira si tout va bien.",
        "ar": "لم تُستعمل هذه البطاقة بعد في جهاز Raspberry Pi. بعد أول تشغيل (دقيقتان)، سيخبرك هذا الملف"
        " هل كل شيء على ما يرام.",
        "en": "This card has not been started in a Raspberry Pi yet. After the first start (two minutes), this file"
        " says whether all is well.",
    },
    "fine": {
        "fr": "Le fichier colibri.toml est correct.",
        "ar": "الملف colibri.toml صحيح.",
        "en": "The file colibri.toml is correct.",
    },
    "wrong": {
        "fr": "Il y a une erreur. Corrigez-la dans le fichier, remettez la carte dans la sonde, rebranchez-la :",
        "ar": "يوجد خطأ. صححه في الملف ثم أعد البطاقة إلى المسبار وأعد توصيله بالكهرباء:",
        "en": "There is a mistake. Mend it in the file, put the card back into the probe and plug it in again:",
    },
    "former": {
        "fr": "En attendant, la sonde continue avec les derniers réglages corrects.",
        "ar": "في انتظار ذلك يواصل المسبار العمل بآخر إعدادات صحيحة.",
        "en": "Until then the probe goes on with the last correct settings.",
    },
    "none": {
        "fr": "Il n'y a pas encore de réglages corrects : la sonde ne mesure rien.",
        "ar": "لا توجد بعد إعدادات صحيحة: المسبار لا يقيس شيئًا.",
        "en": "There are no correct settings yet: the probe measures nothing.",
    },
    "unreadable": {
        "fr": "{file}, ligne {where} : illisible. Il manque peut-être un guillemet (\") ou un signe =.",
        "ar": "{file}، السطر {where}: لا يمكن قراءته. ربما تنقص علامة اقتباس (\") أو علامة =.",
        "en": "{file}, line {where}: can't be read. Perhaps a quotation mark (\") or an = sign is missing.",
    },
    "unknown": {
        "fr": "{file} : « {where} » n'existe pas.",
        "ar": "{file}: لا يوجد إعداد باسم «{where}».",
        "en": "{file}: there is no \"{where}\".",
    },
    "near": {"fr": " Vouliez-vous dire « {near} » ?", "ar": " هل تقصد «{near}»؟", "en": " Did you mean \"{near}\"?"},
    "value": {
        "fr": "{file} : la valeur de « {where} » ne convient pas ({what}).",
        "ar": "{file}: قيمة «{where}» غير مناسبة ({what}).",
        "en": "{file}: the value of \"{where}\" won't do ({what}).",
    },
    "password": {
        "fr": "Le mot de passe choisi dans Raspberry Pi Imager n'est pas utilisé : on se connecte par clé SSH"
        " seulement.",
        "ar": "كلمة السر المختارة في Raspberry Pi Imager غير مستعملة: الدخول بمفتاح SSH فقط.",
        "en": "The password chosen in Raspberry Pi Imager is not used: one logs in by SSH key alone.",
    },
    "data_lost": {
        "fr": "La mémoire de la sonde était endommagée et a été vidée. Si la carte a plus de deux ans, remplacez-la."
        " La sonde a besoin d'un nouveau code d'inscription.",
        "ar": "كانت ذاكرة المسبار تالفة فتم مسحها. إذا كان عمر البطاقة أكثر من سنتين فاستبدلها."
        " يحتاج المسبار إلى رمز تسجيل جديد.",
        "en": "The probe's memory was damaged and has been emptied. If the card is older than two years, replace it."
        " The probe needs a new enrolment code.",
    },
    "data_none": {
        "fr": "La carte ne peut plus être écrite : remplacez-la. La sonde oublie tout quand elle est débranchée.",
        "ar": "لم تعد الكتابة على البطاقة ممكنة: استبدلها. ينسى المسبار كل شيء عند فصل الكهرباء.",
        "en": "The card can't be written any more: replace it. The probe forgets everything when it is unplugged.",
    },
    "name": {"fr": "Nom sur le réseau : {name}", "ar": "الاسم على الشبكة: {name}", "en": "Name on the network: {name}"},
    "code": {
        "fr": "Code pour modifier quelque chose sur la page de la sonde, http://colibri.local : {code}",
        "ar": "رمز تغيير أي شيء على صفحة المسبار، http://colibri.local: {code}",
        "en": "Code to change anything on the probe's page, http://colibri.local: {code}",
    },
    "version": {"fr": "Version {version}", "ar": "الإصدار {version}", "en": "Version {version}"},
    "rolled_back": {
        "fr": "Une mise à jour ne fonctionnait pas : la sonde est revenue d'elle-même à la version d'avant.",
        "ar": "لم ينجح أحد التحديثات: عاد المسبار تلقائيًا إلى الإصدار السابق.",
        "en": "An update did not work: the probe has gone back to the version before by itself.",
    },
}


def say(text: str, language: Language, /, **words: str) -> str:
    """One text. Raises KeyError for a name that there is not, or a word that is missing."""
    return TEXTS[text][language].format(**words)
