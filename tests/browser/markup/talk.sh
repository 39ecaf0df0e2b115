# Says and leaves markup wherever somebody might show it.
mark() { printf "<img src=x onerror=__fired('%s')>" "$1"; }
mkdir -p "out/$(mark folder)"
echo "a line $(mark log)"
printf '\033[31m%s\033[0m\n' "red $(mark ansi)"
printf '\033]8;;javascript:__fired(1)\033\\%s\033]8;;\033\\\n' "$(mark link)"
printf '\033]8;;https://example.org/"onmouseover="__fired(2)\033\\%s\033]8;;\033\\\n' "$(mark quote)"
printf '\033]0;%s\007title\n' "$(mark title)"
printf '\033[38;5;"><script>__fired(3)</script>m\n'
echo "</script></pre></template><script>__fired('script')</script>"
mark artifact >"out/$(mark artifact)"
echo "said=$(mark output)" >>"$TRUNKLINE_OUTPUTS"
cat >out/junit.xml <<XML
<testsuites><testsuite name="&lt;img src=x onerror=__fired('suite')>" tests="1" failures="0">
<testcase classname="&lt;img src=x onerror=__fired('class')>" name="&lt;img src=x onerror=__fired('test')>" time="0.1"/>
</testsuite></testsuites>
XML
cat >out/scan.sarif <<JSON
{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "$(mark tool)", "rules": [
{"id": "$(mark rule)", "helpUri": "javascript:__fired(4)", "shortDescription": {"text": "$(mark about)"}}]}},
"results": [{"ruleId": "$(mark rule)", "level": "warning", "message": {"text": "$(mark finding)"},
"locations": [{"physicalLocation": {"artifactLocation": {"uri": "javascript:__fired(5)"}, "region": {"startLine": 1}}}]}]}]}
JSON
