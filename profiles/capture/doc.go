// Package capture reads profiles in every form in which people have them and says what each one is: protocol buffers
// plain or compressed, the text of ?debug=1 and ?debug=2, exports of continuous profilers. The content decides, never
// the file's name.
//
// Its opinion: a file is read and described, or refused in one line that says what it is instead and what to do. What
// was missing or odd comes with the result as [Note]s, so that a reader of the diagnosis sees it. The bytes that a file
// may unpack to are bounded before anything is allocated for them.
//
// It is not for judging: it knows nothing of leaks.
package capture
