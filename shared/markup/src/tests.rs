use proptest::prelude::*;

use super::*;

fn both_ways(whatsapp: &str, markdown: &str) {
    assert_eq!(to_markdown(whatsapp), markdown, "{whatsapp:?}");
    assert_eq!(to_whatsapp(markdown), whatsapp, "{markdown:?}");
}

#[test]
fn marks_of_one_side_are_those_of_the_other() {
    both_ways("*negrita*, _cursiva_ y ~tachado~", "**negrita**, _cursiva_ y ~~tachado~~");
    both_ways("*_las dos_* ¡*hola!*", "**_las dos_** ¡**hola!**");
    both_ways("usa `code *aquí*`", "usa `code *aquí*`");
    both_ways("```\nuna *línea*\n  otra\n```", "```\nuna *línea*\n  otra\n```");
    both_ways("motos:\n- *250Z*\n- 150", "motos:\n- **250Z**\n- 150");
    both_ways("1. uno\n2. dos", "1. uno\n2. dos");
    both_ways("> cita _suya_\n> sigue", "> cita _suya_\n> sigue");
    both_ways("una\ndos\n\n\ntres", "una\ndos\n\n\ntres");
}

#[test]
fn what_only_looks_like_a_mark_is_shown_as_it_is() {
    for (plain, markdown) in [
        ("# hola", "\\# hola"),
        ("#hola", "#hola"),
        ("1) uno", "1\\) uno"),
        ("+ uno", "\\+ uno"),
        ("3. tres\n1. uno", "3\\. tres\n1\\. uno"),
        ("a_b_c 2*3*4 5 * 6 * 7", "a_b_c 2\\*3\\*4 5 \\* 6 \\* 7"),
        ("<b>hola</b> a < b <3", "\\<b>hola\\</b> a < b <3"),
        ("[x](y)", "\\[x\\](y)"),
        ("![x](y)", "\\!\\[x\\](y)"),
        ("texto\n---", "texto\n\\---"),
        ("[a]: b", "\\[a\\]: b"),
        ("uno\\\n- dos", "uno\\\\\n- dos"),
        ("a | b\n--|--\nc | d", "a \\| b\n\\--\\|--\nc \\| d"),
        ("c:\\_ruta\\ y \\*", "c:\\\\\\_ruta\\ y \\\\\\*"),
        ("(c) 2026, 5 +-1", "\\(c) 2026, 5 \\+-1"),
        ("AT&amp;T y &copy;", "AT\\&amp;T y \\&copy;"),
        ("~100 km~~", "~100 km~~"),
        ("~~100 km~~ *", "\\~\\~100 km\\~\\~ \\*"),
        ("* no cierra", "- no cierra"),
        ("precio: $5,000.00 (IVA incl.)", "precio: $5,000.00 (IVA incl.)"),
    ] {
        assert_eq!(to_markdown(plain), markdown);
    }
    assert_eq!(literal("*no* es negrita"), "\\*no\\* es negrita");
    assert_eq!(literal_line("dos\nlíneas"), "dos líneas");
}

#[test]
fn addresses_stay_clickable() {
    for url in ["https://lmotos.mx/a_b_c/*x*?y=_z_&copy=1", "http://x.mx/_a_", "www.lmotos.mx/~ana~"] {
        both_ways(&format!("mira {url}, *es {url}*"), &format!("mira {url}, **es {url}**"));
    }
    assert_eq!(
        to_whatsapp("[la ficha](https://x.mx/_f_) y <https://y.mx>"),
        "la ficha (https://x.mx/_f_) y https://y.mx"
    );
    assert_eq!(to_whatsapp("[https://x.mx/a](https://x.mx/a)"), "https://x.mx/a");
}

#[test]
fn an_agents_text_comes_out_of_chatwoots_editor_as_it_was_meant() {
    for (markdown, whatsapp) in [
        ("Hola\\\nson 5\\*3", "Hola\nson 5*3"),
        ("Hola\\\n\\\nson", "Hola\n\nson"),
        ("Hola\\\n", "Hola"),
        ("Hola\\\n\nadiós", "Hola\n\nadiós"),
        ("ruta C:\\\\\n\nadiós", "ruta C:\\\n\nadiós"),
        ("C:\\", "C:\\"),
        ("**Precio:** *ya* __no__", "*Precio:* _ya_ __no__"),
        ("***todo***", "_*todo*_"),
        ("**dos\nlíneas**", "*dos*\n*líneas*"),
        ("en**me**dio", "en**me**dio"),
        ("** suelto **", "** suelto **"),
        ("## Oferta\n\ntexto", "*Oferta*\n\ntexto"),
        ("a\n\n- uno\n  - dos\n- tres", "a\n\n- uno\n  - dos\n- tres"),
        ("5\\. no es lista", "5. no es lista"),
        ("<b>hola</b> &nbsp;adiós", "<b>hola</b> \u{a0}adiós"),
        ("uno\n\n---\n\ndos", "uno\n\n---\n\ndos"),
        ("a | b\n--|--\nc | d", "a | b\n--|--\nc | d"),
        ("  hola  ", "  hola"),
        ("", ""),
    ] {
        assert_eq!(to_whatsapp(markdown), whatsapp, "{markdown:?}");
    }
}

#[test]
fn code_goes_out_as_it_was_typed() {
    for text in [
        "x``a``b``c``",
        "mira ``a`` y ```b```",
        "abre `una\ny otra` línea",
        "`a\n>5`",
        "- `uno\n  dos`",
        "`https://x.mx/a_b` y ``https://x.mx/a_b``",
        "un ` suelto",
        "a```b``c",
        "` a `",
        "```Total: 500\nIVA: 80\n```",
        "```hola\nmundo```",
        "```hola\nmundo``` y *más",
        "- uno\n  ```Total\n  *x*\n  ```",
        "1. ```\n   ls\n   ```\n2. listo",
        "```\n**x** \\*\n\n# y\n```\n# 5",
        "```\nno cierra",
        "```\n```",
    ] {
        assert_eq!(to_whatsapp(text), text);
    }
    for (markdown, whatsapp) in [
        ("```json\n{}\n```", "```\n{}\n```"),
        ("```SQL\nselect```", "```\nselect```"),
        ("``a`b``", "```a`b```"),
        ("`` `a ``", "````a```"),
        ("`a\\\nb`", "`a\nb`"),
        ("> `a\n> b`", "> `a\n> b`"),
    ] {
        assert_eq!(to_whatsapp(markdown), whatsapp, "{markdown:?}");
    }
}

#[test]
fn what_whatsapp_would_not_show_as_a_style_goes_out_as_typed() {
    for text in [
        "llanta 120*70*17",
        "2*3=6, 4*5=20",
        "Marque *123*456#, luego *#06*12#",
        "Su saldo: *111*#, o *#100*#",
        "clave: aB*c_d*e~f~g",
        "00020126*36br.gov***6304AB12\n00020126*36br.gov***6304CD34",
        "00020126***6304AB12 y 00020126***6304CD34",
        "def __init__(self): __x__",
        "*Nota:*sin blanco, _así_no, ~~eso~~tampoco",
        "a**b**c __d__e ***f***g",
        "1) uno\n2) dos",
        "01. enero\n02. febrero",
        "$25,000\n+ IVA",
        "+  dos blancos",
        "Total:\n   $25,000\n\n     $3,000 más\n\tcon IVA",
        "uno\n  dos, tres",
        ">5 años\n>10 no",
        "a&lt;b &amp;amp; &copy; &#42;x&#42; &nope; & R&D",
        "   $25,000\n $3,000",
        "    $25,000",
        "\tcuatro blancos\n    más",
        "    # uno\n    > dos\n    | tres\n  - cuatro",
        ">>> OFERTA <<<",
        "> > x",
        "> cita\n>sigue\ny más",
        "#",
        "##",
        "Código\n#\n12",
        "# 12345 #",
        "# 25",
        "## OFERTA ##",
        "*",
        "* uno\n* *dos",
        "+\n1)",
        "*``* ** _**_",
        "| a | b |\n|---|---|\n| 5*3 | 4*2 |",
        "===\n~~~\n***\n- - -\n___",
        "Precio  \n uno \n\n \ndos",
        "[x]() ![]() <Precio:500> [x] [y][z]",
        "- uno\n  - dos\n\n  más",
        "*a*b*c*d*e*f*g*h*i*j",
    ] {
        assert_eq!(to_whatsapp(text), text);
    }
    for (markdown, whatsapp) in [
        ("**Llanta 120*70*17**", "*Llanta 120*70*17*"),
        ("120*70*17 y **negrita**, *cursiva*", "120*70*17 y *negrita*, _cursiva_"),
        ("**uno **dos** tres**", "*uno dos tres*"),
        ("x**dos\nlíneas**", "x**dos\nlíneas**"),
        ("1) **uno**\n   sigue", "1) *uno*\n   sigue"),
        ("* **uno**\n* *dos*", "* *uno*\n* _dos_"),
        ("> **uno\n> dos**\ntres", "> *uno*\n> *dos*\ntres"),
        ("> uno\n>\n> dos", "> uno\n\n> dos"),
        ("> # Oferta\n> *hoy*", "> *Oferta*\n> _hoy_"),
        ("# **Oferta** de *hoy*", "*Oferta de _hoy_*"),
        ("# ***", "# ***"),
        ("**uno __dos__**", "*uno __dos__*"),
    ] {
        assert_eq!(to_whatsapp(markdown), whatsapp, "{markdown:?}");
    }
}

#[test]
fn a_hard_line_end_is_never_read_as_a_backslash() {
    for (markdown, whatsapp) in [
        ("Motos:\\\n- roja\\\n- azul", "Motos:\n- roja\n- azul"),
        ("Motos:\\\n1. roja\n2. azul\\\n", "Motos:\n1. roja\n2. azul"),
        ("Dijiste:\\\n> sí\\\n\nbien", "Dijiste:\n> sí\n\nbien"),
        ("Usa:\\\n```\ncd C:\\\n\nls\n```", "Usa:\n```\ncd C:\\\n\nls\n```"),
        ("uno\\\n***\ndos", "uno\n***\ndos"),
        ("# Oferta\\\nhoy", "*Oferta*\nhoy"),
        ("Hola\\\n\\\n- roja", "Hola\n\n- roja"),
        ("C:\\\\\n- roja", "C:\\\n- roja"),
        ("**Motos:**\\\n- roja", "*Motos:*\n- roja"),
    ] {
        assert_eq!(to_whatsapp(markdown), whatsapp, "{markdown:?}");
    }
}

#[test]
fn what_markdown_would_keep_for_itself_is_read() {
    for (markdown, whatsapp) in [
        ("Precio de contado\n------\n$25,000", "Precio de contado\n------\n$25,000"),
        ("Total\\\n===", "Total\n==="),
        ("~~~ Promoción ~~~\nhoy", "~~~ Promoción ~~~\nhoy"),
        ("~~~a", "~~~a"),
        ("> uno\n> ---\n\ndos", "> uno\n> ---\n\ndos"),
        ("1. INE\n3. Comprobante", "1. INE\n3. Comprobante"),
        ("2. INE\n2. Comprobante", "2. INE\n2. Comprobante"),
        ("> - roja\n> - azul", "> - roja\n> - azul"),
        ("> 1. **roja**\n> 4. azul", "> 1. *roja*\n> 4. azul"),
        ("-\n- dos", "-\n- dos"),
        ("[Ubicación]: https://maps.example/x", "[Ubicación]: https://maps.example/x"),
        (
            "Abrimos a las 9\n\n[Ubicación]: https://maps.example/x",
            "Abrimos a las 9\n\n[Ubicación]: https://maps.example/x",
        ),
        ("[a]: b\n[a]: c\n- [d]: e", "[a]: b\n[a]: c\n- [d]: e"),
        ("```\n[a]: b\n```", "```\n[a]: b\n```"),
        ("[x](https://y.mx): hola", "x (https://y.mx): hola"),
    ] {
        assert_eq!(to_whatsapp(markdown), whatsapp, "{markdown:?}");
    }
}

#[test]
fn an_address_nobody_outside_can_use_is_not_shown() {
    for (markdown, whatsapp) in [
        ("Le atiende [@Sofía](mention://user/21/Sof%C3%ADa)", "Le atiende @Sofía"),
        ("[la ficha](HTTPS://x.mx)", "la ficha (HTTPS://x.mx)"),
        ("[la ficha](x.mx:80/f)", "la ficha (x.mx:80/f)"),
        ("Cita [lunes](9:30), [sí](c:\\x)", "Cita lunes (9:30), sí (c:\\x)"),
        ("[la ficha](https://x.mx/f \"Ficha\")", "la ficha (https://x.mx/f \"Ficha\")"),
        ("[Ventas](mailto:a@x.mx), [llame](tel:+5255)", "Ventas (a@x.mx), llame (+5255)"),
        ("<a@x.mx> [a@x.mx](mailto:a@x.mx)", "a@x.mx a@x.mx"),
        ("![Logo](https://x.mx/l.png?cw_image_height=24px)", "Logo (https://x.mx/l.png)"),
        ("![](https://x.mx/l.png?a=1&cw_image_height=24px)", "https://x.mx/l.png?a=1"),
    ] {
        assert_eq!(to_whatsapp(markdown), whatsapp, "{markdown:?}");
    }
}

#[test]
fn whatsapps_own_marks_in_the_composer_are_marks() {
    assert_eq!(to_whatsapp("\\*Oferta\\* de \\_hoy\\_, 5\\*3\\*2"), "*Oferta* de _hoy_, 5*3*2");
}

#[test]
fn only_an_address_with_a_scheme_has_a_preview() {
    assert!(has_link("mira https://lmotos.mx/250z, hoy") && has_link("*HTTP://x.mx*"));
    assert!(
        !has_link("www.lmotos.mx") && !has_link("http y httpd") && !has_link("ftp://x") && !has_link("xhttps://a.b")
    );
}

#[test]
fn letters_of_every_kind_go_through() {
    let long = "añ🏍️".repeat(1024);
    for text in [
        "👩\u{200d}👩\u{200d}👧 🏍️",
        "مرحبا بالعالم",
        "a\u{200b}b\u{2060}c\u{feff}",
        "\u{202e}abc\u{202c}",
        long.as_str(),
    ] {
        both_ways(text, text);
    }
    assert_eq!(to_markdown(&"*a ".repeat(50_000)).len(), to_markdown(&"*a ".repeat(50_000)).len());
    for mark in ["> ", "*a ", "*a* ", "_*", "```\n", "`a", "[", "[a](b) ", "<a", "# a\n", "- *a\n", "**a\n"] {
        assert!(to_whatsapp(&mark.repeat(5_000)).len() <= 5_000 * (mark.len() + 2), "{mark}");
    }
}

/// Pieces of which marks are made.
fn marked() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "*",
        "_",
        "~",
        "`",
        "```",
        "\n",
        "\n\n",
        " ",
        "a",
        "ñ",
        "hola",
        "- ",
        "* ",
        "> ",
        "1. ",
        "2. ",
        "3) ",
        "# ",
        "\\",
        "[x](y)",
        "[x]: y",
        "\\\n",
        "<b>",
        "https://x.mx/a_b*c",
        "&amp;",
        "!",
        ".",
        "|",
        "---",
        "=",
        "+",
        "🏍️",
        "    ",
        "(c)",
    ];
    prop::collection::vec(prop::sample::select(PIECES), 0..16).prop_map(|pieces| pieces.concat())
}

fn solid(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

/// Lines of signs that could be marks.
fn lines() -> impl Strategy<Value = String> {
    const LINE: &str = "([0-9]{1,2}[.)] |[>+*-] |[xyz0-9*_~,. =#>\\[\\]():`+|-]){0,12}";
    prop::collection::vec(LINE, 1..5).prop_map(|lines| lines.join("\n"))
}

/// Whether WhatsApp shows a style, or code that the composer surrounds with other backticks.
fn has_styles(text: &str) -> bool {
    let styles = |span: &Span| match span {
        Span::Styled(..) => true,
        Span::Code(code) => code.contains('`'),
        _ => false,
    };
    whatsapp::parse(text).0.iter().any(|placed| match &placed.block {
        Block::Paragraph(spans) | Block::Quote(spans) | Block::Item { spans, .. } => spans.iter().any(styles),
        Block::Code(_) => false,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn there_and_back_looks_the_same(text in marked()) {
        let markdown = to_markdown(&text);
        let back = to_whatsapp(&markdown);
        let look = |text: &str| compare::look(&whatsapp::parse(text));
        prop_assert_eq!(look(&back), look(&text), "{:?} {:?}", markdown, back);
    }

    #[test]
    fn what_has_no_marks_comes_back_letter_by_letter(text in marked()) {
        let markdown = literal(&text);
        prop_assert_eq!(solid(&to_whatsapp(&markdown)), solid(&text), "{:?}", markdown);
    }

    #[test]
    fn any_text_goes_through_without_losing_a_letter(text in "(?s)[^\u{fdd0}\u{fdd1}\0]{0,200}") {
        prop_assert_eq!(solid(&to_whatsapp(&literal(&text))), solid(&text));
        let _ = to_whatsapp(&text);
        let _ = to_markdown(&text);
    }

    /// Marks within words are letters, and so is everything that WhatsApp would not show as a style.
    #[test]
    fn no_character_of_a_text_without_styles_is_lost(text in lines()) {
        let out = to_whatsapp(&text);
        if !has_styles(&out) && !text.contains("](") && !text.contains("\n>\n") {
            prop_assert_eq!(&out, trimmed_lines(&text));
        }
    }

    /// Of a text with styles, only their marks may go.
    #[test]
    fn no_sign_but_a_mark_is_lost(text in lines()) {
        let marks = |c: char| match c {
            '*' | '_' | '~' => true,
            '#' => text.lines().any(|line| line.trim_start_matches("> ").starts_with('#')),
            '>' => text.contains("\n>\n"),
            '`' => text.contains("``"),
            '[' | ']' | '(' | ')' => text.contains("]("),
            _ => c.is_whitespace(),
        };
        let signs = |text: &str| text.chars().filter(|c| !marks(*c)).collect::<String>();
        prop_assert_eq!(signs(&to_whatsapp(&text)), signs(&text));
    }

    /// Backticks anywhere but at the start of a line, where three of them open a block.
    #[test]
    fn no_backtick_and_no_line_end_among_them_is_lost(text in "a[a-z` ]{0,8}(\na[a-z` ]{0,8}){0,2}a") {
        let lines = |text: &str| text.replace(' ', "");
        prop_assert_eq!(lines(&to_whatsapp(&text)), lines(&text));
    }

    #[test]
    fn no_letter_an_agent_writes_is_lost(text in marked()) {
        let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
        prop_assert_eq!(letters(&to_whatsapp(&text)), letters(&text), "{:?}", text);
    }
}
