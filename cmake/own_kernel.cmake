# How `callgrad bench op --kernel` compiles a kernel of somebody's own and links it in beside ours, written down for it in
# build/own-kernel/<name>.json: the command up to the source, and the command that links all objects of the target and one more.
function(callgrad_own_kernel name compile link)
  file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/own-kernel/${name}.json
    CONTENT "{\"compile\": \"${compile}\",\n\"link\": \"${link}\"}\n")
endfunction()
