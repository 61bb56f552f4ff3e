"""German texts of a report."""

from typing import Final

from tds_clinical.reports.language.language import Language
from tds_clinical.reports.language.words import Words

GERMAN: Final = Language(
    code="de",
    tag="de",
    decimal_mark=",",
    words=Words(
        notice="Nur für Forschungszwecke. Kein Medizinprodukt. Nicht ärztlich geprüft.",
        phantom_notice=(
            "PHANTOM: Diese Untersuchung ist künstlich. Nichts in diesem Bericht stammt von einem Patienten."
        ),
        phantom_badge="PHANTOM (künstlich)",
        phantom_mark="PHANTOM",
        title="Tumorsegmentierung: {case}",
        phantom_title="Phantom (künstlich): {title}",
        kind="Segmentierung eines Hirntumors im MRT, von einem Programm erstellt",
        made_at="Erstellt am",
        page_of="Seite {page} von {pages}",
        schema="Ergebnisschema {version}.",
        none="keine",
        english_only="Meldungen der Prüfungen, der Kriterien und des Modells sind auf Englisch.",
        nothing_found="Das Modell hat keinen Tumor gefunden; das schließt einen Tumor nicht aus.",
        one_found="Das Modell hat 1 Läsion gefunden: {volumes}.",
        many_found="Das Modell hat {count} Läsionen gefunden: {volumes}.",
        of_which=", davon ",
        one_lesion="1 Läsion",
        many_lesions="{count} Läsionen",
        whole_tumour="gesamter Tumor",
        tumour_core="Tumorkern",
        enhancing_tumour="anreichernder Tumor",
        necrotic_core="nekrotischer Kern",
        oedema="Ödem",
        enhancing_label="anreichernder Tumor",
        axial="Axial",
        coronal="Koronar",
        sagittal="Sagittal",
        quality="Qualität der Untersuchung",
        error="Fehler",
        warning="Warnung",
        info="Hinweis",
        seen="(gesehen: {value})",
        volumes="Volumina der ganzen Untersuchung",
        lesions="Läsionen",
        lesion="Läsion",
        lesion_number="Läsion {number}",
        lesion_of="Läsion {number} von {count}",
        region="Region",
        region_volume_ml="{region}, mL",
        volume_ml="Volumen, mL",
        longest_in_3d_mm="Längster Durchmesser in 3D, mm",
        longest_in_3d_short="längster Durchmesser {length} mm",
        longest_mm="Längster Durchmesser, mm",
        perpendicular_mm="Senkrecht dazu, mm",
        product_mm2="Produkt, mm²",
        centre_mm="Mittelpunkt (x, y, z), mm",
        box_mm="Umschließender Quader (x, y, z), mm",
        from_to="{start} bis {end}",
        volume_with_interval="{volume} ({low} bis {high})",
        interval_note="In Klammern: das Intervall jedes Volumens. Wie die Intervalle entstanden sind: {method}",
        lesion_note=(
            "Eine Läsion ist ein zusammenhängender Teil des gesamten Tumors; die größte hat die Nummer 1. Die "
            "Regionen liegen ineinander: WT enthält TC, TC enthält ET. Der Durchmesser dieser Tabelle ist in drei "
            "Dimensionen zwischen Voxelmitten gemessen. Orte stehen im RAS-Koordinatensystem des Scanners: x wächst "
            "zur rechten Seite des Patienten, y nach vorn, z zum Scheitel."
        ),
        diameter_note=(
            "Längster Durchmesser: die längste Linie durch die Region innerhalb einer Schicht, von Rand zu Rand. "
            "Senkrecht dazu: die längste Linie im rechten Winkel dazu in derselben Schicht."
        ),
        pictures="Bilder",
        picture_note=(
            "Radiologische Konvention: Die rechte Seite des Patienten liegt auf axialen und koronaren Bildern links. "
            "R, L, A, P, S und I bezeichnen rechts, links, vorn (anterior), hinten (posterior), oben (superior) und "
            "unten (inferior). Kurze Striche am Rand zeigen, wo die beiden anderen Ebenen kreuzen; die Ebenen sind die "
            "der Aufnahme."
        ),
        grey_levels="Grauwerte reichen vom 0,5. bis zum 99,5. Perzentil jeder Sequenz.",
        right_is_left="Rechte Patientenseite liegt links",
        largest_in_full=(
            "Die {shown} größten von {count} Läsionen sind auf jeder Sequenz gezeigt, die übrigen auf der, die den "
            "gesamten Tumor am besten zeigt."
        ),
        middle_of_head="Mitte des Kopfes",
        picture_alt="{sequence}: axiale, koronare und sagittale Ebene durch {place}",
        at_lesion="Läsion {number} bei x, y, z = {place} mm",
        at_middle="die Mitte des Kopfes",
        plain="ohne Markierung",
        contour="Konturen",
        fill="gefüllt",
        contour_alt="{picture}, mit den Konturen der Segmentierung",
        fill_alt="{picture}, mit gefüllter Segmentierung",
        labels="Markierungen",
        show="Anzeigen",
        show_plain_and_contour="ohne Markierung und Konturen",
        show_contour_and_fill="Konturen und gefüllt",
        show_large="{what}, groß",
        change_since="Veränderung seit {label}",
        course="Verlauf über alle Zeitpunkte",
        course_alt="Volumina der Regionen zu jedem Zeitpunkt; die Zahlen stehen in der Tabelle daneben",
        time_point="Zeitpunkt",
        date="Datum",
        count="Läsionen",
        lesions_before="Vorher",
        lesions_after="Jetzt",
        became="Was daraus wurde",
        matched="weiterhin da",
        new="neu",
        gone="verschwunden",
        split="geteilt",
        merged="verschmolzen",
        region_change_ml="{region}, mL",
        before_after="{before}; jetzt {after}",
        is_certain="Größer als die Intervalle?",
        certain="ja",
        uncertain="nein: unsicher",
        change_note=(
            "Jedes Volumen steht für den früheren Zeitpunkt und für jetzt. Eine Veränderung ist unsicher, wenn die des "
            "gesamten Tumors nicht größer ist als die Intervalle der beiden Volumina."
        ),
        assessment="{criteria}: {category}",
        complete_response="CR, komplette Remission",
        partial_response="PR, partielle Remission",
        stable_disease="SD, stabile Erkrankung",
        progressive_disease="PD, progrediente Erkrankung",
        not_evaluable="NE, nicht beurteilbar",
        uncertain_category="unsicher",
        sums="Summe zu jedem Zeitpunkt: {sums} {unit}",
        sum_with_interval="{sum} ({low} bis {high})",
        possible="{category}: {possible}",
        either_or=" oder ",
        images_alone=(
            "Die Kategorien sind allein aus Bildern berechnet. Sie kennen weder Symptome noch Steroide, Behandlung "
            "oder eine spätere Bestätigung, und sie ersetzen keine Befundung durch Radiologen."
        ),
        agreement="Übereinstimmung mit der Referenzmaske",
        phantom_agreement=(
            "An einem Phantom gemessen, gegen die Wahrheit, nach der es gezeichnet wurde. "
            "Über Patienten sagt das nichts."
        ),
        dice="Dice",
        phantom_dice="Dice (Phantom)",
        making="Wie dies entstanden ist",
        sequences_used="Verwendete Sequenzen",
        sequences_missing="Fehlende Sequenzen",
        model="Modell",
        model_version="{name}, Version {version}",
        architecture="Architektur",
        licence="Lizenz der Gewichte",
        model_hash="Hash des Modells",
        full_hash="Vollständiger SHA-256",
        time_taken="Dauer",
        model_card="Das Modell in zwei Zeilen",
    ),
)
"""German."""
