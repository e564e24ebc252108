"""Italian sentences for recordings that are made; everyday words, written for tswork.

They are dense in what regional rules touch: k, t, tS, s and dZ between vowels, long consonants, and stops after nasals. No word that
would double the consonant after it (a, e, è, da, più, caffè ...) stands before a k, t, p, b, tS or dZ: the engine does not double, and
gorgia would be wrong there.
"""

from __future__ import annotations

SENTENCES = (
    "La mia casa è vicina alla fermata",
    "Dieci amici mangiano la pizza in campagna",
    "Il cuoco prepara la cena con tanta pazienza",
    "Quanto tempo rimane prima della partenza",
    "Mia nonna cuce una camicia bianca",
    "Il gatto rosso dorme ancora sulla sedia",
    "Ogni mattina compro il latte fresco",
    "Questa musica piace tanto alla gente",
    "Il medico visita cento pazienti",
    "La luce della candela illumina la cucina",
    "Nel paese nessuno pensa alla guerra",
    "Sempre la stessa cosa dice il nonno",
    "Il bambino beve subito il latte freddo",
    "La ragazza legge una pagina del giornale",
    "Quando piove prendo la mia bicicletta",
    "Il mese prossimo arrivano i turisti inglesi",
    "Il treno passa accanto al campo di grano",
    "Giro la chiave della porta grande",
    "Una tazza di latte costa poco",
    "Nessuno capisce la rabbia di Antonio",
    "Il sale rende buona anche la minestra",
    "La radio annuncia una giornata senza vento",
    "Mio zio pulisce gli occhiali dopo pranzo",
    "Sotto il tetto della chiesa dormono dodici piccioni",
)
