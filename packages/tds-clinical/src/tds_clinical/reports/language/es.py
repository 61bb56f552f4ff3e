"""Spanish texts of a report."""

from typing import Final

from tds_clinical.reports.language.language import Language
from tds_clinical.reports.language.words import Words

SPANISH: Final = Language(
    code="es",
    tag="es",
    decimal_mark=",",
    words=Words(
        notice="Solo para investigación. No es un producto sanitario. No revisado por un médico.",
        phantom_notice="FANTOMA: este estudio es sintético. Nada en este informe procede de un paciente.",
        phantom_badge="FANTOMA (sintético)",
        phantom_mark="FANTOMA",
        title="Segmentación tumoral: {case}",
        phantom_title="Fantoma (sintético): {title}",
        kind="Segmentación de un tumor cerebral en RM, hecha por un programa",
        made_at="Fecha del informe",
        page_of="Página {page} de {pages}",
        schema="Esquema del resultado {version}.",
        none="ninguna",
        english_only="Los mensajes de los controles, de los criterios y del modelo están en inglés.",
        nothing_found="El modelo no ha encontrado ningún tumor; esto no excluye que lo haya.",
        one_found="El modelo ha encontrado 1 lesión: {volumes}.",
        many_found="El modelo ha encontrado {count} lesiones: {volumes}.",
        of_which=", de los cuales ",
        one_lesion="1 lesión",
        many_lesions="{count} lesiones",
        whole_tumour="tumor completo",
        tumour_core="núcleo del tumor",
        enhancing_tumour="tumor captante",
        necrotic_core="núcleo necrótico",
        oedema="edema",
        enhancing_label="tumor captante",
        axial="Axial",
        coronal="Coronal",
        sagittal="Sagital",
        quality="Calidad del estudio",
        error="error",
        warning="aviso",
        info="nota",
        seen="(valor: {value})",
        volumes="Volúmenes de todo el estudio",
        lesions="Lesiones",
        lesion="Lesión",
        lesion_number="Lesión {number}",
        lesion_of="Lesión {number} de {count}",
        region="Región",
        region_volume_ml="{region}, mL",
        volume_ml="Volumen, mL",
        longest_in_3d_mm="Diámetro mayor en 3D, mm",
        longest_in_3d_short="diámetro mayor {length} mm",
        longest_mm="Diámetro mayor, mm",
        perpendicular_mm="Perpendicular, mm",
        product_mm2="Producto, mm²",
        centre_mm="Centro (x, y, z), mm",
        box_mm="Caja envolvente (x, y, z), mm",
        from_to="{start} a {end}",
        volume_with_interval="{volume} ({low} a {high})",
        interval_note="Entre paréntesis: el intervalo de cada volumen. Cómo se obtuvieron los intervalos: {method}",
        lesion_note=(
            "Una lesión es una parte conexa del tumor completo; la mayor es la número 1. Las regiones están "
            "anidadas: WT contiene TC, y TC contiene ET. El diámetro de esta tabla se mide en tres dimensiones, "
            "entre centros de vóxeles. Las posiciones están en el sistema RAS del escáner: x crece hacia la derecha "
            "del paciente, y hacia delante, z hacia el vértice de la cabeza."
        ),
        diameter_note=(
            "Diámetro mayor: la línea más larga a través de la región dentro de un corte, de borde a borde. "
            "Perpendicular: la línea más larga en ángulo recto con ella en el mismo corte."
        ),
        pictures="Imágenes",
        picture_note=(
            "Convención radiológica: la derecha del paciente está a la izquierda de las imágenes axiales y coronales. "
            "R, L, A, P, S e I señalan derecha, izquierda, anterior, posterior, superior e inferior. Las marcas cortas "
            "en los bordes muestran por dónde cruzan los otros dos planos; los planos son los de la adquisición."
        ),
        grey_levels="Los niveles de gris van del percentil 0,5 al 99,5 de cada secuencia.",
        right_is_left="La derecha del paciente está a la izquierda",
        largest_in_full=(
            "Las {shown} mayores de {count} lesiones se muestran en todas las secuencias; las demás, en la que mejor "
            "muestra el tumor completo."
        ),
        middle_of_head="Centro de la cabeza",
        picture_alt="{sequence}: planos axial, coronal y sagital por {place}",
        at_lesion="la lesión {number} en x, y, z = {place} mm",
        at_middle="el centro de la cabeza",
        plain="sin marcas",
        contour="contornos",
        fill="relleno",
        contour_alt="{picture}, con los contornos de la segmentación",
        fill_alt="{picture}, con la segmentación rellena",
        labels="Marcas",
        show="Mostrar",
        show_plain_and_contour="sin marcas y contornos",
        show_contour_and_fill="contornos y relleno",
        show_large="{what}, grande",
        change_since="Cambios desde {label}",
        course="Evolución en todos los momentos",
        course_alt="Volúmenes de las regiones en cada momento; la tabla contigua da las cifras",
        time_point="Momento",
        date="Fecha",
        count="Lesiones",
        lesions_before="Antes",
        lesions_after="Ahora",
        became="Qué fue de ella",
        matched="persiste",
        new="nueva",
        gone="desaparecida",
        split="dividida",
        merged="fusionada",
        region_change_ml="{region}, mL",
        before_after="{before}; ahora {after}",
        is_certain="¿Mayor que los intervalos?",
        certain="sí",
        uncertain="no: incierto",
        change_note=(
            "Cada volumen se da en el momento anterior y ahora. "
            "Un cambio es incierto cuando el del tumor completo no es mayor que los intervalos de los dos volúmenes."
        ),
        assessment="{criteria}: {category}",
        complete_response="CR, respuesta completa",
        partial_response="PR, respuesta parcial",
        stable_disease="SD, enfermedad estable",
        progressive_disease="PD, enfermedad progresiva",
        not_evaluable="NE, no evaluable",
        uncertain_category="incierto",
        sums="Suma en cada momento: {sums} {unit}",
        sum_with_interval="{sum} ({low} a {high})",
        possible="{category}: {possible}",
        either_or=" o ",
        images_alone=(
            "Las categorías se calculan solo a partir de imágenes. No conocen síntomas, esteroides, tratamiento ni una "
            "confirmación posterior, y no sustituyen la lectura de un radiólogo."
        ),
        agreement="Concordancia con la máscara de referencia",
        phantom_agreement=(
            "Medido en un fantoma frente a la verdad con la que se dibujó. No dice nada sobre pacientes."
        ),
        dice="Dice",
        phantom_dice="Dice (fantoma)",
        making="Cómo se hizo",
        sequences_used="Secuencias usadas",
        sequences_missing="Secuencias que faltan",
        model="Modelo",
        model_version="{name}, versión {version}",
        architecture="Arquitectura",
        licence="Licencia de los pesos",
        model_hash="Hash del modelo",
        full_hash="SHA-256 completo",
        time_taken="Tiempo empleado",
        model_card="El modelo en dos líneas",
    ),
)
"""Spanish."""
