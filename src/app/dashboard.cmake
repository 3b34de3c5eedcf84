# The dashboard as a C file: its bytes, and the policy of content that lets a browser run the page's
# own script and style, by their hashes, and nothing else.
#   cmake -D page=dashboard.html -D out=dashboard.c -P dashboard.cmake

set(digits "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")

# 'sha256-...' of what stands in the one element of that name
function(hash_of element result)
    string(FIND "${text}" "<${element}>" from)
    string(FIND "${text}" "</${element}>" to)
    string(LENGTH "<${element}>" tag)
    math(EXPR from "${from} + ${tag}")
    math(EXPR len "${to} - ${from}")
    string(SUBSTRING "${text}" ${from} ${len} inside)
    string(SHA256 hex "${inside}")
    set(base64 "")
    foreach(at RANGE 0 63 3) # three digits of 4 bits are two of 6; 256 bits end within the last two
        string(SUBSTRING "${hex}00" ${at} 3 three)
        math(EXPR high "0x${three} / 64")
        math(EXPR low "0x${three} % 64")
        string(SUBSTRING "${digits}" ${high} 1 high)
        string(SUBSTRING "${digits}" ${low} 1 low)
        string(APPEND base64 "${high}${low}")
    endforeach()
    string(REGEX REPLACE ".$" "=" base64 "${base64}")
    set(${result} "'sha256-${base64}'" PARENT_SCOPE)
endfunction()

file(READ "${page}" text)
hash_of(script script)
hash_of(style style)
file(READ "${page}" bytes HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
file(WRITE "${out}" "/* Made of dashboard.html by dashboard.cmake. */
#include \"app/admin_parts.h\"

const char weir_dashboard_policy[] =
    \"default-src 'none'; script-src ${script}; style-src ${style}; connect-src 'self'; \"
    \"img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'\";

const unsigned char weir_dashboard_page[] = {
${bytes}0};
")
